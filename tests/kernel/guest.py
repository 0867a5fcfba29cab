"""The guest: Debian's stock kernel under QEMU with bluetoothd; its adapter's HCI and its bus on this side."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

HERE: Final = Path(__file__).parent / "guest"
CACHE: Final = Path("build/kernel")  # the unpacked kernel package, 70 MB
PACKAGES: Final = {  # program: Debian's package
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "/usr/libexec/bluetooth/bluetoothd": "bluez",
    "socat": "socat",
    "dbus-daemon": "dbus",
    "cpio": "cpio",
    "gcc": "gcc",
}
# In the order in which they are loaded. Without drbg and what it needs, the kernel's own test of its P-256
# fails, and pairing with it.
MODULES: Final = [
    "sha512_generic",
    "jitterentropy_rng",
    "drbg",
    "ctr",
    "ansi_cprng",
    "virtio",
    "virtio_ring",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "9pnet",
    "9pnet_virtio",
    "netfs",
    "fscache",
    "9p",
    "overlay",
    "virtio_console",
    "cmac",
    "ecb",
    "af_alg",
    "algif_hash",
    "algif_skcipher",
    "crc16",
    "ecc",
    "rfkill",
    "ecdh_generic",
    "bluetooth",
    "hci_vhci",
    "failover",
    "net_failover",
    "virtio_net",
]
_KERNEL_OPTIONS: Final = (
    "console=ttyS0 panic=-1 quiet edd=off tsc=reliable mitigations=off nokaslr cryptomgr.notests"
)
BOOT_S: Final = 600  # 30 s on an idle machine; TCG on a loaded one takes many times that


class Guest(NamedTuple):
    """A guest that has booted."""

    hci_socket: Path  # its adapter's HCI: a controller answers here
    bus_address: str  # its system bus
    log: Path


def missing_packages() -> list[str]:
    """Debian's packages that are not installed."""
    return [package for program, package in PACKAGES.items() if shutil.which(program) is None]


@contextmanager
def running(port: int) -> Iterator[Guest]:
    """Boot the guest, with its bus at 127.0.0.1:`port`, until the context ends.

    Raises RuntimeError with the guest's log where it does not come up.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        share = folder / "share"
        share.mkdir()
        shutil.copy(HERE / "guest.sh", share)
        subprocess.run(
            [
                "gcc",
                "-std=gnu11",
                "-Wall",
                "-Wextra",
                "-O2",
                "-static",
                "-o",
                share / "vhci_relay",
                HERE / "vhci_relay.c",
            ],
            check=True,
        )
        kernel, modules = _kernel()
        initrd = _initrd(folder, modules)
        guest = Guest(folder / "hci0.sock", f"tcp:host=127.0.0.1,port={port}", folder / "console.log")
        with guest.log.open("wb") as console:
            machine = subprocess.Popen(
                _command(kernel, initrd, share, guest.hci_socket, port),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        try:
            _await_ready(machine, guest.log)
            yield guest
        finally:
            (share / "stop").touch()
            try:
                machine.wait(60)
            except subprocess.TimeoutExpired:
                machine.kill()
                machine.wait()


def _kernel() -> tuple[Path, Path]:
    """The stock kernel's image and its modules' folder, downloaded once; nothing is installed."""
    if not list(CACHE.glob("boot/vmlinuz-*")):
        CACHE.mkdir(parents=True, exist_ok=True)
        depends = subprocess.run(
            ["apt-cache", "depends", "linux-image-amd64"], check=True, capture_output=True, text=True
        ).stdout
        package = next(line.split()[-1] for line in depends.splitlines() if "Depends: linux-image" in line)
        subprocess.run(["apt-get", "download", "-qq", package], check=True, cwd=CACHE)
        subprocess.run(["dpkg", "-x", next(CACHE.glob("*.deb")), CACHE], check=True)
    return next(CACHE.glob("boot/vmlinuz-*")), next(CACHE.glob("lib/modules/*"))


def _initrd(folder: Path, modules: Path) -> Path:
    root = folder / "root"
    for part in ("bin", "modules", "proc", "sys", "dev", "lower", "upper", "new"):
        (root / part).mkdir(parents=True)
    shutil.copy(str(shutil.which("busybox")), root / "bin/busybox")
    shutil.copy(HERE / "init.sh", root / "init")
    (root / "init").chmod(0o755)
    for module in MODULES:
        shutil.copy(next(modules.rglob(f"{module}.ko")), root / "modules")
    (root / "modules/order").write_text("\n".join(MODULES) + "\n")
    archive = folder / "initrd"
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    packed = subprocess.run(
        ["cpio", "--quiet", "-o", "-H", "newc"],
        check=True,
        cwd=root,
        input=names.encode(),
        capture_output=True,
    )
    archive.write_bytes(packed.stdout)
    return archive


def _command(kernel: Path, initrd: Path, share: Path, hci_socket: Path, port: int) -> list[str]:
    # TCG, not KVM: nested virtualisation hangs in the stock kernel's first instructions on some hosts.
    return [
        "qemu-system-x86_64", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max",
        "-smp", "1", "-m", "1024", "-nographic", "-no-reboot", "-nodefaults", "-serial", "stdio",
        "-kernel", str(kernel), "-initrd", str(initrd),
        "-append", _KERNEL_OPTIONS,
        "-virtfs", "local,path=/,mount_tag=hostroot,security_model=none,readonly=on,multidevs=remap",
        "-virtfs", f"local,path={share},mount_tag=share,security_model=none",
        "-device", "virtio-serial-pci",
        "-chardev", f"socket,id=hci0,path={hci_socket},server=on,wait=off",
        "-device", "virtserialport,chardev=hci0,name=hci0,nr=1",
        "-netdev", f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:5555",
        "-device", "virtio-net-pci,netdev=n0,romfile=",
    ]  # fmt: skip


def _await_ready(machine: subprocess.Popen[bytes], log: Path) -> None:
    deadline_s = time.monotonic() + BOOT_S
    while b"guest: ready" not in log.read_bytes():
        if machine.poll() is not None or time.monotonic() > deadline_s:
            machine.kill()
            raise RuntimeError(f"the guest did not come up:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.5)
