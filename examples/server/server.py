"""A server that remembers every session that it has ever seen. Its clients are in the same program, so that it ends."""

import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sessions = {}


class Handler(BaseHTTPRequestHandler):
    """Answers with the number of sessions."""

    def do_GET(self):
        """Remember the session, and answer."""
        sessions[self.path] = {"path": self.path, "cart": [], "seen": bytearray(20_000)}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(len(sessions)).encode())

    def log_message(self, *arguments):
        """Say nothing."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
for number in range(800):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/{number}") as answer:
        answer.read()
print(len(sessions), "sessions")
server.shutdown()
