"""The official Python client at the end of a line protocol: each line of standard input is a call, {"call": NAME,
...its arguments}, each line of standard output what came of it, {"ok": RESULT} or {"raised": what the exception says}.

tests/clients/node/client.mjs understands the same calls and answers the same, with the names of its own exceptions.
"""

import asyncio
import inspect
import json
import sys

from openai import AsyncOpenAI, OpenAI


def description(error):
    """An exception as its catcher sees it."""
    classes = [kind.__name__ for kind in type(error).__mro__]
    return {"classes": classes[:classes.index("BaseException")], "message": str(error),
            **{name: getattr(error, field, None) for name, field in (
                ("status", "status_code"), ("code", "code"), ("type", "type"), ("request_id", "request_id"))}}


class Answer:
    """The pieces of a streamed answer put together."""

    def __init__(self):
        self.pieces = []
        self.role = self.finish_reason = self.usage = None
        self.calls = {}

    def add(self, event):
        if event.usage:
            self.usage = event.usage.model_dump()
        for choice in event.choices:
            self.role = self.role or choice.delta.role
            self.finish_reason = choice.finish_reason or self.finish_reason
            if choice.delta.content:
                self.pieces.append(choice.delta.content)
            for part in choice.delta.tool_calls or ():
                call = self.calls.setdefault(part.index, {"id": part.id, "name": part.function.name, "arguments": ""})
                call["arguments"] += part.function.arguments or ""

    def result(self):
        return {"pieces": self.pieces, "role": self.role, "finish_reason": self.finish_reason, "usage": self.usage,
                "tool_calls": list(self.calls.values())}


class Calls:
    """The calls: methods whose names do not begin with an underscore."""

    def __init__(self):
        self._client = self._async_client = self._running = None
        self._open = []

    def connect(self, base_url, key="sk-any", retries=0, timeout=60.0):
        options = {"base_url": base_url, "api_key": key, "max_retries": retries, "timeout": timeout}
        self._client, self._async_client = OpenAI(**options), AsyncOpenAI(**options)

    def models(self):
        return [model.model_dump() for model in self._client.models.list()]

    def model(self, name):
        return self._client.models.retrieve(name).model_dump()

    def chat(self, **fields):
        answer = self._client.chat.completions.create(**fields)
        [choice] = answer.choices
        calls = [{"id": call.id, "name": call.function.name, "arguments": call.function.arguments}
                 for call in choice.message.tool_calls or ()]
        return {"content": choice.message.content, "role": choice.message.role, "finish_reason": choice.finish_reason,
                "tool_calls": calls, "usage": answer.usage.model_dump(), "model": answer.model,
                "request_id": answer._request_id}

    def completion(self, **fields):
        return self._client.completions.create(**fields).choices[0].text

    def stream(self, **fields):
        """A stream, read to its end. An exception says how many pieces came before it."""
        answer = Answer()
        try:
            for event in self._client.chat.completions.create(stream=True, **fields):
                answer.add(event)
        except Exception as error:
            error.args = (f"{error} [after {len(answer.pieces)} pieces]",)
            raise
        return answer.result()

    def leave(self, after, **fields):
        """Leaves a stream in the middle."""
        pieces = 0
        with self._client.chat.completions.create(stream=True, **fields) as stream:
            for event in stream:
                pieces += bool(event.choices[0].delta.content)
                if pieces == after:
                    break
        return pieces

    def begin(self, **fields):
        """Sends a request and does not wait for its answer: cancel() or finish() come later."""
        self._running = asyncio.ensure_future(self._async_client.chat.completions.create(**fields))

    async def cancel(self):
        self._running.cancel()
        await self._running

    async def finish(self):
        return (await self._running).choices[0].message.content

    async def open_streams(self, count, **fields):
        """So many streams at once; done when each has begun. Returns how many that are."""
        async def begin():
            stream = await self._async_client.chat.completions.create(stream=True, **fields)
            events = stream.__aiter__()
            answer = Answer()
            answer.add(await events.__anext__())
            return events, answer
        self._open = await asyncio.gather(*(begin() for _ in range(count)))
        return len(self._open)

    async def finish_streams(self):
        """Reads them to their ends, side by side: for each what was said, or what was raised."""
        async def rest(events, answer):
            try:
                async for event in events:
                    answer.add(event)
                return answer.result()
            except Exception as error:
                return {"raised": description(error)}
        return await asyncio.gather(*(rest(*stream) for stream in self._open))


async def serve():
    calls = Calls()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        arguments = json.loads(line)
        try:
            result = getattr(calls, arguments.pop("call"))(**arguments)
            if inspect.isawaitable(result):
                result = await result
            said = {"ok": result}
        except (Exception, asyncio.CancelledError) as error:
            said = {"raised": description(error)}
        print(json.dumps(said), flush=True)


asyncio.run(serve())
