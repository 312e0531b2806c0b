"""Stand-ins for the base images of the stack, on a machine that can pull none.

    python tests/stack/images.py [--rust]      makes those that are missing and cannot be pulled
    python tests/stack/images.py --remove      removes them again

The stand-ins are Debian 13 out of the machine's own apt source, and behave as the official images as far as the stack
uses them: see `standins`. An image without the stand-ins' label is the official one, and stays. A stand-in whose recipe
has changed is made again.

It sees to the engine first, and prints what `engine.py` prints.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from engine import CACHE, KEYRING, SUITE, Lacking, alone, call, last_line, must, on_debian, origin, ready

RECIPES = Path(__file__).resolve().parent / "standins"
LABEL = "coinmill.standin"
BASE = "coinmill-standin-base:trixie"
TAGS = {
    "python": "python:3.13-slim-trixie",
    "postgres": "postgres:17-trixie",
    "redis": "redis:8",
    "rust": "rust:1-slim-trixie",
}
# A machine whose registries have a certificate of its own says so in one of these; builds need that bundle too.
TRUST = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "CARGO_HTTP_CAINFO")
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
# no waiting for the disk, and nothing kept that nobody reads
SETTINGS = {
    "etc/dpkg/dpkg.cfg.d/standin": "force-unsafe-io\npath-exclude /usr/share/doc/*\npath-exclude /usr/share/man/*\n",
    "etc/apt/apt.conf.d/standin": 'Acquire::Languages "none";\nDir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n'
    'DPkg::Post-Invoke {"rm -f /var/cache/apt/archives/*.deb";};\n',
}
LEFT_OUT = ("./var/cache/apt/*", "./var/lib/apt/lists/*", "./usr/share/doc/*", "./usr/share/man/*")


def trusted() -> bytes:
    """The machine's bundle of certificates, where it names one."""
    for name in TRUST:
        bundle = Path(os.environ.get(name, ""))
        if bundle.is_file():
            return bundle.read_bytes()
    return b""


def digest(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]


def made_by(image: str) -> str | None:
    """The recipe of a stand-in; empty for an image that is none, None where there is no such image."""
    done = call("docker", "image", "inspect", "--format", f'{{{{index .Config.Labels "{LABEL}"}}}}', image)
    return done.stdout.strip() if done.returncode == 0 else None


def make_base(recipe: str) -> None:
    """Debian 13 as an image."""
    if not on_debian():
        raise Lacking("only root on Debian can make stand-ins: pull the official images instead")
    changes = [f"LABEL {LABEL}={recipe}", 'CMD ["bash"]']
    with tempfile.TemporaryDirectory(prefix="root-", dir=CACHE) as name:
        root = Path(name)
        must(
            "apt-get install debootstrap, and see that apt works",
            # a mount namespace of its own: what debootstrap mounts is gone with it, before the folder is removed
            *("unshare", "--mount", "debootstrap", "--variant=minbase", "--include=ca-certificates"),
            *(f"--keyring={KEYRING}", SUITE, root, origin()),
        )
        for path, text in SETTINGS.items():
            (root / path).write_text(text)
        if bundle := trusted():
            (root / BUNDLE).write_bytes(bundle)
            changes += [f"ENV {variable}=/{BUNDLE}" for variable in TRUST] + ["ENV UV_SYSTEM_CERTS=1"]
        # mkdtemp's mode would be that of the image's root
        root.chmod(0o755)
        command = ["docker", "import", *(word for change in changes for word in ("--change", change)), "-", BASE]
        tar = ["tar", "-C", name, "--numeric-owner", *(f"--exclude={path}" for path in LEFT_OUT), "-c", "."]
        with subprocess.Popen(tar, stdout=subprocess.PIPE) as packed:
            done = subprocess.run(command, stdin=packed.stdout, capture_output=True, text=True, check=False)
        if packed.returncode or done.returncode:
            raise Lacking(f"`docker import` failed: {last_line(done.stderr)}; see that the disk is not full")


def toolchain() -> Path:
    """This machine's Rust, in a folder of its own."""
    root = Path(must("install Rust with rustup", "rustc", "--print", "sysroot").strip())
    if root == Path("/usr") or not (root / "bin" / "cargo").exists():
        raise Lacking(f"the Rust in {root} cannot be copied: install one with rustup")
    return root


def make(name: str, recipe: str) -> None:
    log = CACHE / f"image-{name}.log"
    command = ["docker", "build", "-t", TAGS[name], "--label", f"{LABEL}={recipe}", "--build-arg", f"BASE={BASE}", "-"]
    with log.open("wb") as out:
        build = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out)
        assert build.stdin is not None
        try:
            # a context by itself, since the toolchain lies elsewhere; the old builder knows no newer format
            with build.stdin, tarfile.open(fileobj=build.stdin, mode="w|", format=tarfile.GNU_FORMAT) as context:
                context.add(RECIPES / name, ".")
                if name == "rust":
                    for part in ("bin", "lib", "libexec"):
                        if (toolchain() / part).is_dir():
                            context.add(toolchain() / part, f"toolchain/{part}")
        except BrokenPipeError:
            pass  # the build has failed, and its log says why
        if build.wait():
            raise Lacking(f"no {TAGS[name]}: {last_line(log.read_text(errors='replace'))}; see {log}")


def make_missing(names: list[str]) -> None:
    base = digest(trusted(), *(text.encode() for text in SETTINGS.values()))
    for name in names:
        files = [path for path in sorted((RECIPES / name).iterdir()) if path.is_file()]
        parts = [base.encode(), *(path.name.encode() + b" " + path.read_bytes() for path in files)]
        if name == "rust":
            parts.append(must("install Rust with rustup", "rustc", "-vV").encode())
        recipe = digest(*parts)
        found = made_by(TAGS[name])
        if found in ("", recipe) or (found is None and call("docker", "pull", "-q", TAGS[name]).returncode == 0):
            continue
        if made_by(BASE) != base:
            print(f"making {BASE}", file=sys.stderr)
            make_base(base)
        print(f"making {TAGS[name]}", file=sys.stderr)
        make(name, recipe)


def remove() -> None:
    for image in (*TAGS.values(), BASE):
        if made_by(image):
            must("remove what runs from it first", "docker", "image", "rm", image)
    # those that a changed recipe has replaced
    must("see `docker info`", "docker", "image", "prune", "--force", "--filter", f"label={LABEL}")


def main() -> None:
    options = argparse.ArgumentParser(description="Stand-ins for the base images of the stack")
    options.add_argument("--rust", action="store_true", help="also the Rust image, from this machine's toolchain")
    options.add_argument("--remove", action="store_true", help="remove the stand-ins")
    chosen = options.parse_args()
    try:
        found = ready()
        # for `docker build`
        os.environ.update(found)
        with alone():
            if chosen.remove:
                remove()
            else:
                make_missing([name for name in TAGS if name != "rust" or chosen.rust])
    except Lacking as lacking:
        sys.exit(f"images: {lacking}")
    for name, value in found.items():
        print(f"{name}={value}")


if __name__ == "__main__":
    main()
