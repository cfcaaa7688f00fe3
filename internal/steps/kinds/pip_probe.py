# How each requirement of sys.argv stands: "have NAME VERSION fits" or differs, "have NAME - absent". What is not for this
# machine, by its marker, is left out. Runs in Python 2.7 and every Python 3.
import os
import re
import sys


def norm(name):  # PEP 503
    return re.sub(r"[-_.]+", "-", name).lower()


found = {}
try:
    from importlib.metadata import distributions
except ImportError:
    try:
        import pkg_resources
    except ImportError:
        sys.exit("this Python has neither importlib.metadata nor pkg_resources; install setuptools for it")
    for dist in pkg_resources.working_set:
        found.setdefault(norm(dist.project_name), dist.version)
else:
    for dist in distributions():
        # The first on the path is the one that is imported.
        name = dist.metadata["Name"]
        if name:
            found.setdefault(norm(name), dist.version)


def fits(text, rest, version):
    """Whether a version is a wanted one; None if the requirement is not for this machine."""
    for module in ("packaging.requirements", "pip._vendor.packaging.requirements"):
        try:
            parsed = __import__(module, fromlist=["Requirement"]).Requirement(text)
        except ImportError:
            continue
        if parsed.marker and not parsed.marker.evaluate():
            return None
        return version is not None and parsed.specifier.contains(version, prereleases=True)
    try:
        import pkg_resources
    except ImportError:
        if not re.match(r"==[^*,;]+$", rest):
            sys.exit("this Python cannot compare versions with %s; install packaging for it" % rest)
        return version == rest[2:].strip()
    parsed = pkg_resources.Requirement.parse(text)
    marker = getattr(parsed, "marker", None)
    if marker and not marker.evaluate():
        return None
    return version is not None and version in parsed


for text in sys.argv[1:]:
    match = re.match(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^]]*\])?\s*(.*)$", text)
    name, rest = norm(match.group(1)), match.group(2)
    version = found.get(name)
    good = version is not None
    if rest and not rest.startswith("@"):
        try:
            good = fits(text, rest, version)
        except ValueError as error:  # InvalidRequirement is one
            sys.exit("%s: %s" % (text, error))
    if good is None:
        continue
    if version is None:
        print("have %s - absent" % name)
    else:
        print("have %s %s %s" % (name, version, "fits" if good else "differs"))
if "pip" not in found:
    print("missing module pip")
# PEP 668: a Python whose packages are the distribution's.
if sys.prefix == getattr(sys, "base_prefix", sys.prefix) and not hasattr(sys, "real_prefix"):
    import sysconfig

    if os.path.exists(os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")):
        print("managed yes")
