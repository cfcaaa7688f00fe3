"""wheels.py DIR DEB...: makes a wheel of every Python distribution in the packages, and a simple index (PEP 503) of them in DIR."""

import base64
import email
import hashlib
import html
import os
import re
import subprocess
import sys
import tempfile
import zipfile


def distributions(root):
    """Yields (metadata directory, site directory) of each distribution unpacked in root."""
    site = os.path.join(root, "usr/lib/python3/dist-packages")
    for name in sorted(os.listdir(site)) if os.path.isdir(site) else []:
        if name.endswith((".egg-info", ".dist-info")):
            yield os.path.join(site, name), site


def read(*path):
    try:
        with open(os.path.join(*path), encoding="utf-8") as f:
            return f.read()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def field(deb, name):
    return subprocess.run(["dpkg-deb", "--field", deb, name], check=True, capture_output=True, text=True).stdout


def requirements(deb, projects):
    """Yields Requires-Dist lines for what a package depends on: dh_python3 moves requirements there, out of the metadata."""
    for name in re.findall(r"(?:^|, *)([a-z0-9.+-]+)", field(deb, "Depends")):
        for project in projects.get(name, []):
            yield f"Requires-Dist: {project}"


def metadata(info):
    """Returns the name and the version, the header, and the description of a distribution."""
    header, _, body = (read(info, "METADATA") or read(info, "PKG-INFO") or read(info)).partition("\n\n")
    message = email.message_from_string(header + "\n\n")
    return message["Name"], message["Version"], header, body


def wheel(info, site, required, target):
    """Writes the wheel of one distribution and returns its project name and file name."""
    name, version, header, body = metadata(info)
    header = "\n".join([header, *required])
    stem = re.sub(r"[-_.]+", "_", name) + "-" + version
    files, binary = {}, False
    for folder, _, names in os.walk(site):
        for f in names:
            path = os.path.join(folder, f)
            relative = os.path.relpath(path, site)
            # A link into another package, such as Django's to jQuery, leads nowhere here.
            if os.path.exists(path) and "__pycache__" not in relative and not relative.split(os.sep)[0].endswith((".egg-info", ".dist-info")):
                with open(path, "rb") as file:
                    files[relative] = file.read()
                binary |= f.endswith(".so")
    tag = "cp311-cp311-linux_x86_64" if binary else "py3-none-any"
    meta = stem + ".dist-info/"
    files[meta + "METADATA"] = f"{header}\n\n{body}".encode()
    files[meta + "WHEEL"] = f"Wheel-Version: 1.0\nGenerator: wheels.py\nRoot-Is-Purelib: {str(not binary).lower()}\nTag: {tag}\n".encode()
    if points := read(info, "entry_points.txt"):
        files[meta + "entry_points.txt"] = points.encode()
    record = ""
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(data)}\n"
    files[meta + "RECORD"] = (record + meta + "RECORD,,\n").encode()
    filename = f"{stem}-{tag}.whl"
    with zipfile.ZipFile(os.path.join(target, filename), "w") as z:
        for path, data in files.items():
            z.writestr(path, data)
    return re.sub(r"[-_.]+", "-", name).lower(), filename


def page(path, links):
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, "index.html"), "w", encoding="utf-8") as f:
        f.write("<!DOCTYPE html>\n" + "".join(f'<a href="{html.escape(href)}">{html.escape(text)}</a><br>\n' for href, text in links))


def main(target, debs):
    files = os.path.join(os.path.dirname(target), "files")
    os.makedirs(files, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        found, projects = [], {}  # (deb, metadata directory, site directory) of each, and the projects of each package
        for number, deb in enumerate(debs):
            root = os.path.join(work, str(number))
            subprocess.run(["dpkg-deb", "-x", deb, root], check=True)
            for info, site in distributions(root):
                found.append((deb, info, site))
                projects.setdefault(field(deb, "Package").strip(), []).append(metadata(info)[0])
        made = dict(wheel(info, site, requirements(deb, projects), files) for deb, info, site in found)
    for project, filename in made.items():
        with open(os.path.join(files, filename), "rb") as f:
            digest = hashlib.sha256(f.read()).hexdigest()
        page(os.path.join(target, project), [(f"../../files/{filename}#sha256={digest}", filename)])
    page(target, [(project + "/", project) for project in sorted(made)])


main(sys.argv[1], sys.argv[2:])
