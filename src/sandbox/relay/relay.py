"""Carries connections from a port of this network namespace, which has nothing but a loopback, over standard input and output.

Frames: kind (1 byte), number of the connection (4), length (4), then so many bytes. Each side may have WINDOW bytes of a connection
under way that the other has not told to be passed on, so that one slow connection holds up no other.
"""

import queue
import socket
import struct
import sys
import threading

OPENED, DATA, ENDED, PASSED, READY = range(5)
HEAD = struct.Struct(">BII")
PORT = 3128
WINDOW = 256 * 1024
CHUNK = 16 * 1024

links = {}
out_lock = threading.Lock()


def send(kind, number, payload=b""):
    with out_lock:
        sys.stdout.buffer.write(HEAD.pack(kind, number, len(payload)) + payload)
        sys.stdout.buffer.flush()


class Link:
    """One connection: a thread for each direction."""

    def __init__(self, number, client):
        self.number = number
        self.client = client
        self.to_client = queue.Queue()
        self.left = WINDOW
        self.room = threading.Condition()

    def start(self):
        send(OPENED, self.number)
        threading.Thread(target=self.pull, daemon=True).start()
        threading.Thread(target=self.push, daemon=True).start()

    def pull(self):
        try:
            while True:
                with self.room:
                    self.room.wait_for(lambda: self.left > 0)
                    most = min(CHUNK, self.left)
                data = self.client.recv(most)
                if not data:
                    break
                with self.room:
                    self.left -= len(data)
                send(DATA, self.number, data)
        except OSError:
            pass
        send(ENDED, self.number)

    def push(self):
        try:
            while True:
                data = self.to_client.get()
                if data is None:
                    break
                self.client.sendall(data)
                send(PASSED, self.number, struct.pack(">I", len(data)))
        except OSError:
            pass
        links.pop(self.number, None)
        try:
            self.client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        with self.room:
            self.left = WINDOW
            self.room.notify()

    def passed(self, n_bytes):
        with self.room:
            self.left += n_bytes
            self.room.notify()


def accept(listener):
    number = 0
    while True:
        client, _ = listener.accept()
        number += 1
        link = Link(number, client)
        links[number] = link
        link.start()


def exactly(n_bytes):
    data = sys.stdin.buffer.read(n_bytes)
    if len(data) < n_bytes:
        # Nobody is there any more.
        sys.exit(0)
    return data


def main():
    listener = socket.create_server(("127.0.0.1", PORT), backlog=64)
    threading.Thread(target=accept, args=(listener,), daemon=True).start()
    send(READY, 0)
    while True:
        kind, number, n_bytes = HEAD.unpack(exactly(HEAD.size))
        payload = exactly(n_bytes)
        link = links.get(number)
        if link is None:
            continue
        if kind == DATA:
            link.to_client.put(payload)
        elif kind == ENDED:
            link.to_client.put(None)
        elif kind == PASSED:
            link.passed(*struct.unpack(">I", payload))


main()
