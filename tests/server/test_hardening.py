"""What protects a server that faces a network: how the program was linked and compiled, who may
read its files, and that it leaves no core dump of its keys."""

import os
import re
import resource
import shutil
import stat
import subprocess
import sys

import harness
from certificates import Pki
from harness import Server, free_ports
from test_tls import SecureServer


def readelf(binary, *flags):
    return subprocess.run(["readelf", "-W", *flags, binary], stdout=subprocess.PIPE, check=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout.decode()


def test_the_program_is_position_independent_and_its_relocations_are_read_only(binary, directory):
    header = readelf(binary, "-h")
    assert re.search(r"Type:\s+DYN \(Position-Independent", header), header
    segments, dynamic = readelf(binary, "-l"), readelf(binary, "-d")
    assert "GNU_RELRO" in segments, segments
    assert re.search(r"FLAGS_1\).*\bNOW\b.*\bPIE\b", dynamic), dynamic
    stack = re.search(r"GNU_STACK\s+\S+ \S+ \S+ \S+ \S+ (\S+)", segments)
    assert stack and stack.group(1) == "RW", segments
    assert "TEXTREL" not in dynamic and "RPATH" not in dynamic, dynamic


def test_the_program_checks_its_stack_and_its_calls(binary, directory):
    symbols = readelf(binary, "--dyn-syms")
    assert "__stack_chk_fail" in symbols, "no stack protector"
    assert re.search(r"\b__(\w+)_chk@", symbols.replace("__stack_chk", "")), "no FORTIFY_SOURCE"
    if os.uname().machine != "x86_64":
        return
    # Stack clash protection touches each page of a large frame.
    code = subprocess.Popen(["objdump", "-d", "--no-show-raw-insn", binary],
                            stdout=subprocess.PIPE)
    touches = sum(1 for line in code.stdout if re.search(rb"orq?\s+\$0x0,\(%rsp\)", line))
    assert code.wait() == 0 and touches > 0, "no stack clash protection"


def test_no_other_user_reads_the_data(binary, directory):
    s = Server(binary, directory, free_ports(1), flags=["--data-dir",
                                                        os.path.join(directory, "a/b")])
    before = os.umask(0)
    try:
        s.start()
    finally:
        os.umask(before)
    assert s.request("PUT", "/kv/secret", "x")[0] == 200
    assert s.stop() == 0
    seen = 0
    for folder, folders, files in os.walk(os.path.join(directory, "a")):
        for name in [".", *files]:
            mode = stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode)
            assert mode & 0o077 == 0, (folder, name, oct(mode))
            seen += 1
    assert seen > 3, seen
    assert "chmod 700" not in s.log_text(), s.log_text()
    os.chmod(os.path.join(directory, "a/b"), 0o750)
    s.start()
    assert "chmod 700" in s.log_text(), s.log_text()
    assert s.stop() == 0


def test_a_key_that_others_can_read_is_refused(binary, directory):
    key = os.path.join(directory, "key")
    with open(key, "w") as f:
        f.write("correct horse battery staple\n")
    s = Server(binary, directory, free_ports(1), flags=["--peer-key-file", key])
    for mode in (0o644, 0o602):
        os.chmod(key, mode)
        done = subprocess.run([binary, "server", "0", s.list, *s.flags], stderr=subprocess.PIPE,
                              timeout=20)
        assert done.returncode == 2 and b"chmod 600" in done.stderr, done
    os.chmod(key, 0o640)
    s.start()
    assert s.stop() == 0


def test_a_server_with_keys_or_tokens_leaves_no_core_dump(binary, directory):
    pki = Pki(binary, directory)

    def limits(server):
        with open("/proc/%d/limits" % server.process.pid) as f:
            line = next(l for l in f if l.startswith("Max core file size"))
        return line.split()[4:6]

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard == 0:
        print("skipped: this machine allows no core dumps")
        return
    with SecureServer(binary, directory, pki) as s:
        assert limits(s) == ["0", "0"], limits(s)
    folder = os.path.join(directory, "open")
    os.mkdir(folder)
    s = Server(binary, folder, free_ports(1)).start()
    assert limits(s) != ["0", "0"], "a server without secrets may dump its core"
    assert s.request("POST", "/auth/enable")[0] == 200
    assert limits(s) == ["0", "0"], "it keeps what its clients send"
    assert s.stop() == 0
    s.start()
    assert limits(s) == ["0", "0"], limits(s)
    assert s.stop() == 0


if __name__ == "__main__":
    for tool in ("readelf", "objdump"):
        assert shutil.which(tool), tool + " is missing: apt-get install binutils"
    sys.exit(harness.run(sys.modules[__name__], os.path.abspath(sys.argv[1])))
