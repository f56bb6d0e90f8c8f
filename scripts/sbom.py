#!/usr/bin/env python3
"""The software bill of materials of the binaries: CycloneDX 1.6 as JSON, on standard output.

What the binaries hold is what cargo says of the packages that are shipped, with the features they are shipped with: crates that are
linked, and those that only took part in the build (scope "excluded"). Tests and their crates are left out. The same commit gives the same
document. It is checked against the schema before it is printed. Run it through scripts/sbom, which brings the library.
"""

import argparse
import json
import os
import subprocess
import sys
import tomllib
import uuid
from datetime import datetime, timezone
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, XsUri, ExternalReference, ExternalReferenceType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parent.parent
# What the Dockerfile and scripts/release build.
SHIPPED = ["master", "auxiliary", "worker", "elasticore"]


def output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout


def metadata(target: str) -> dict:
    return json.loads(output("cargo", "metadata", "--locked", "--format-version", "1", "--features", "etcd", "--filter-platform", target))


def reachable(graph: dict, roots: list[str], kinds: set[str | None], without: set[str] = frozenset()) -> set[str]:
    """Packages that `roots` need by dependencies of these kinds (None for ordinary ones, "build" for build scripts), those of
    `without` and what only they need left out."""
    nodes = {node["id"]: node for node in graph["resolve"]["nodes"]}
    found, waiting = set(), list(roots)
    while waiting:
        package = waiting.pop()
        if package not in found and package not in without:
            found.add(package)
            waiting += [d["pkg"] for d in nodes[package]["deps"] if kinds & {kind["kind"] for kind in d["dep_kinds"]}]
    return found


def checksums() -> dict[tuple[str, str], str]:
    with open(ROOT / "Cargo.lock", "rb") as lock:
        return {(p["name"], p["version"]): p["checksum"] for p in tomllib.load(lock)["package"] if "checksum" in p}


def component(package: dict, linked: bool, sums: dict[tuple[str, str], str]) -> Component:
    name, version = package["name"], package["version"]
    checksum = sums.get((name, version))
    # The slash is cargo's old way to write a choice.
    licence = (package["license"] or "").replace("/", " OR ")
    url = PackageURL("cargo", None, name, version)
    return Component(
        type=ComponentType.LIBRARY,
        name=name,
        version=version,
        bom_ref=str(url),
        # What is not from the registry is ours and can be had nowhere else.
        purl=url if checksum else None,
        scope=ComponentScope.REQUIRED if linked else ComponentScope.EXCLUDED,
        licenses=[LicenseExpression(" ".join(licence.split()))] if licence else [],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else [],
        external_references=[
            ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(package["repository"]))
        ] if package["repository"] else [],
    )


def bill(target: str) -> Bom:
    graph = metadata(target)
    packages = {package["id"]: package for package in graph["packages"]}
    roots = [i for i in graph["workspace_members"] if packages[i]["name"] in SHIPPED]
    # Procedural macros run in the compiler, and so does what they need.
    macros = {i for i in packages if any("proc-macro" in part["kind"] for part in packages[i]["targets"])}
    linked = reachable(graph, roots, {None}, without=macros)
    sums = checksums()
    components = {i: component(packages[i], i in linked, sums) for i in sorted(reachable(graph, roots, {None, "build"}))}

    # The commit's time and the lock's content, so that the same commit gives the same document.
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or output("git", "log", "-1", "--format=%ct"))
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, target + (ROOT / "Cargo.lock").read_text()))
    bom.metadata.timestamp = datetime.fromtimestamp(seconds, timezone.utc)
    version = next(packages[i]["version"] for i in roots)
    bom.metadata.component = Component(
        type=ComponentType.APPLICATION, name="elasticore", version=version, bom_ref="elasticore-release",
        licenses=[LicenseExpression("MIT")],
    )
    bom.components = components.values()
    bom.register_dependency(bom.metadata.component, [components[i] for i in roots])
    for node in graph["resolve"]["nodes"]:
        if node["id"] in components:
            needed = {d["pkg"] for d in node["deps"] if {None, "build"} & {kind["kind"] for kind in d["dep_kinds"]}}
            bom.register_dependency(components[node["id"]], [components[i] for i in needed])
    return bom


def host() -> str:
    return next(line.split()[1] for line in output("rustc", "-vV").splitlines() if line.startswith("host:"))


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--target", default=None, help="what the binaries run on (this machine)")
    bom = bill(options.parse_args().target or host())
    text = JsonV1Dot6(bom).output_as_string(indent=2)
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"error: the document breaks the schema: {wrong}")
    print(text)
    linked = sum(part.scope == ComponentScope.REQUIRED for part in bom.components)
    print(f"== {len(bom.components)} crates: {linked} linked, {len(bom.components) - linked} only for the build", file=sys.stderr)
