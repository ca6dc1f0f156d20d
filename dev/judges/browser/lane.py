"""A lane to a server, which can be blocked: what the server says then waits, as on a line that is too slow.

    python3 lane.py PORT

Prints the port that leads to PORT of this machine. A line "block" on stdin: nothing more is taken from the server, whose
kernel can send no more than four kilobytes then. "unblock": all goes on. The end of stdin is the end.
"""

import socket
import sys
import threading

is_open = threading.Event()
is_open.set()


def carry(source, sink, gate):
    try:
        while True:
            gate.wait()
            data = source.recv(65536)
            if not data:
                break
            sink.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def serve(listener, port):
    always = threading.Event()
    always.set()
    while True:
        near, _ = listener.accept()
        far = socket.socket()
        # Before it connects: a window must not shrink.
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        far.connect(("127.0.0.1", port))
        for source, sink, gate in ((near, far, always), (far, near, is_open)):
            threading.Thread(target=carry, args=(source, sink, gate), daemon=True).start()


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=serve, args=(listener, int(sys.argv[1])), daemon=True).start()
    for line in sys.stdin:
        if line.strip() == "block":
            is_open.clear()
        else:
            is_open.set()


main()
