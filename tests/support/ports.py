"""Loopback ports for the servers of a test. A server that is down does not hold its port, and tests
run at the same time: each test process has a block of ports that no other one uses."""

import socket

# Below the range from which the kernel takes ports for outgoing connections.
FIRST, END, BLOCK = 15000, 32000, 200

_block = None  # the socket that marks the block as taken, and its ports in the order of their use


def _take_block():
    for first in range(FIRST, END, BLOCK):
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f'\0vesper test ports {first}')  # no file: the name ends with the process
        except OSError:
            mark.close()
            continue
        return mark, list(range(first, first + BLOCK))
    raise RuntimeError('every block of test ports is taken')


def free_ports(count):
    """Ports that no server uses now. This process gets them again only after a whole block."""
    global _block
    _block = _block or _take_block()
    ports = _block[1]
    found = []
    for port in list(ports):
        if len(found) == count:
            break
        with socket.socket() as probe:
            try:
                probe.bind(('127.0.0.1', port))
            except OSError:
                continue
        found.append(port)
        ports.remove(port)
        ports.append(port)
    if len(found) < count:
        raise RuntimeError(f'{count} ports wanted, {len(found)} of {BLOCK} are free')
    return found
