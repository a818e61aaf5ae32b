"""A client of the router that never stops asking."""

import threading
import time

from .waiting import wait_until


class Traffic:
    """Requests one after another until stop(); `failed` keeps what was not 200."""

    def __init__(self, router):
        self.router = router
        self.count = 0
        self.failed = []
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping:
            try:
                failure = self.ask()
                if failure is not None:
                    self.failed.append(failure)
            except OSError as error:
                self.failed.append(error)
            self.count += 1
            time.sleep(0.002)

    def ask(self):
        """One request; returns what was wrong with its answer, or None."""
        response = self.router.chat(max_tokens=1)
        return None if response.status == 200 else response

    def wait_more(self, requests):
        goal = self.count + requests
        wait_until(lambda: self.count >= goal, 30, f"{requests} more requests")

    def stop(self):
        self.stopping = True
        self.thread.join(30)
        return self.failed
