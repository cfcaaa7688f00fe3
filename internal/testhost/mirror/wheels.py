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
    for site in ("usr/lib/python3/dist-packages", "usr/lib/python3.11/dist-packages", "usr/share/pipenv"):
        site = os.path.join(root, site)
        for name in sorted(os.listdir(site)) if os.path.isdir(site) else []:
            if name.endswith((".egg-info", ".dist-info")):
                yield os.path.join(site, name), site


def read(*path):
    try:
        with open(os.path.join(*path), encoding="utf-8") as f:
            return f.read()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def requirements(info):
    """Turns the requires.txt of an egg, sections in brackets, into Requires-Dist lines."""
    section = ""
    for line in read(info, "requires.txt").splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[]")
        elif line:
            extra, _, marker = section.partition(":")
            conditions = ([f"({marker})"] if marker else []) + ([f'extra == "{extra}"'] if extra else [])
            yield f"Requires-Dist: {line}" + (" ; " + " and ".join(conditions) if conditions else "")


def wheel(info, site, target):
    """Writes the wheel of one distribution and returns its project name and file name."""
    text = read(info, "METADATA") or read(info, "PKG-INFO") or read(info)
    header, _, body = text.partition("\n\n")
    if info.endswith(".egg-info"):
        header = "\n".join([header, *requirements(info)])
    message = email.message_from_string(header + "\n\n")
    name, version = message["Name"], message["Version"]
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
    made = {}
    for deb in debs:
        with tempfile.TemporaryDirectory() as root:
            subprocess.run(["dpkg-deb", "-x", deb, root], check=True)
            for info, site in distributions(root):
                project, filename = wheel(info, site, files)
                made[project] = filename
    for project, filename in made.items():
        with open(os.path.join(files, filename), "rb") as f:
            digest = hashlib.sha256(f.read()).hexdigest()
        page(os.path.join(target, project), [(f"../../files/{filename}#sha256={digest}", filename)])
    page(target, [(project + "/", project) for project in sorted(made)])


main(sys.argv[1], sys.argv[2:])
