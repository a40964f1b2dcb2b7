# SPDX-License-Identifier: Apache-2.0
"""What programs that kill parts of a platform share: more instances, a killer, calls that wait, what the bus was told."""

import collections
import contextlib
import http.client
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

import confluent_kafka

import stack as platform


class Peer:
    """One more instance of a part that the supervisor runs: its environment, with settings of its own.

    Whoever kills it starts it again; its log lies beside those of the others."""

    def __init__(self, stack, part, name, **settings):
        pid = stack.parts()[part]["pid"]
        pairs = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
        self.program, self.prefix = platform.BIN / f"modelbus-{part}", part.upper()
        self.env = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        self.log = pathlib.Path(stack.folder) / f"logs/{name}.log"
        self.process = None
        self.start(**settings)

    def start(self, **settings):
        self.env.update({f"{self.prefix}_{name}": str(value) for name, value in settings.items()})
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([self.program], env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def sleep(self, seconds):
        """Nothing is heard of it, and it does not know; what it has started goes on."""
        self.process.send_signal(signal.SIGSTOP)
        wakes = threading.Timer(seconds, self.process.send_signal, [signal.SIGCONT])
        wakes.daemon = True
        wakes.start()

    def said(self, message):
        return [line for line in map(json.loads, self.log.read_text().splitlines()) if message in line["msg"]]


def pipeline_peer(stack, name):
    """One more instance of the pipeline service, and its address."""
    url = f"tcp://127.0.0.1:{platform.free_port()}"
    return Peer(stack, "pipeline", name, RPC_URL=url, HTTP_BIND="127.0.0.1:0"), url


@contextlib.contextmanager
def killed_at_end(peers):
    """A list to which peers are added."""
    try:
        yield peers
    finally:
        for peer in peers:
            peer.kill()


class Killer(threading.Thread):
    """Until it is stopped kills one of the victims and starts it again, over and over.

    victims: {name: (times, kill, start)}: each so many times in a round, the order of which is random; start None: somebody
    else starts it. When it has been stopped all are there. rounds: how many are over."""

    def __init__(self, dice, victims, pause, away=(0, 1)):
        super().__init__(daemon=True)
        self.dice, self.victims, self.pause, self.away = dice, victims, pause, away
        self.stopping, self.kills, self.rounds, self.failure = threading.Event(), collections.Counter(), 0, None

    def run(self):
        order = []
        try:
            while not self.stopping.wait(self.dice.uniform(*self.pause)):
                if not order:
                    order = [name for name, (times, _, _) in self.victims.items() for _ in range(times)]
                    self.dice.shuffle(order)
                name = order.pop()
                _, kill, start = self.victims[name]
                kill()
                self.kills[name] += 1
                if start:
                    self.stopping.wait(self.dice.uniform(*self.away))
                    start()
                self.rounds += not order
        except Exception as failure:
            self.failure = failure

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()
        if self.failure:
            raise self.failure

    def __str__(self):
        return ", ".join(f"{count} {name}" for name, count in sorted(self.kills.items()))


class Calls:
    """REST that waits for what is just starting again. One thread. A POST must have a key, so that it may be repeated."""

    def __init__(self, stack, seconds=60):
        self.rest, self.seconds, self.last = stack.rest(timeout=10), seconds, None

    def __call__(self, verb, path, body=None, key=None, expect=(200, 201)):
        headers = {"Idempotency-Key": key} if key else None

        def attempt():
            try:
                status, answer, _ = self.rest(verb, path, body, headers)
            except (OSError, http.client.HTTPException) as error:
                self.last = error
                return None
            self.last = status, answer
            if status in (503, 504):
                return None
            assert status in expect, (verb, path, status, answer)
            return [answer]

        try:
            return platform.wait_for(attempt, self.seconds, f"{verb} {path}", interval=.05)[0]
        except AssertionError as error:
            raise AssertionError(f"{error}; last: {self.last}") from error


class Wrong(list):
    """What did not hold."""

    def check(self, true, *what):
        if not true:
            self.append(" ".join(map(str, what)))


def pages(call, path, name):
    """All items of a list."""
    found, token = [], ""
    while True:
        page = call("GET", f"{path}page_size=1000" + (f"&page_token={token}" if token else ""))
        found += page.get(name, [])
        token = page.get("next_page_token", "")
        if not token:
            return found


def said(brokers, topics):
    """[(type, value)] of all that lies on these topics, an id once, in the order of each key; and how often an id came again:
    delivery is at least once."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": brokers, "group.id": "chaos", "enable.auto.commit": False,
                                         "auto.offset.reset": "earliest", "enable.partition.eof": True})
    known = consumer.list_topics(timeout=10).topics
    places = [confluent_kafka.TopicPartition(topic, partition, 0) for topic in topics if topic in known
              for partition in known[topic].partitions]
    consumer.assign(places)
    found, again, open_ends = {}, 0, len(places)
    end = time.monotonic() + 120
    while open_ends:
        message = consumer.poll(10)
        assert message is not None and time.monotonic() < end, "Kafka does not answer"
        if message.error():
            assert message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF, message.error()
            open_ends -= 1
            continue
        head = {name: value.decode() for name, value in message.headers()}
        event = head["ce_type"].rsplit(".", 1)[-1], message.value()
        again += found.setdefault((head["ce_source"], head["ce_id"]), event) is not event
    consumer.close()
    return list(found.values()), again


@contextlib.contextmanager
def outside(folder):
    """Kafka and PostgreSQL of their own, which may be killed, in a folder that exists."""
    os.chmod(folder, 0o755)
    postgres = platform.Postgres(f"{folder}/postgres")
    kafka = None
    try:
        kafka = platform.Kafka(f"{folder}/kafka")
        yield kafka, postgres
    finally:
        if kafka:
            kafka.stop()
        postgres.stop()
