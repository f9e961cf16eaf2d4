"""Calls the gateway through the official OpenAI SDK; prints how many calls of the first key were answered."""

import os

import openai
from openai import OpenAI

client = OpenAI(max_retries=0)
message = [{"role": "user", "content": "Say something. [[tokens=7 prompt=5]]"}]
answered = 0

chat = client.chat.completions.create(model="gpt-4o-mini", messages=message)
assert chat.choices[0].message.content, chat
assert (chat.usage.prompt_tokens, chat.usage.completion_tokens) == (5, 7), chat.usage
answered += 1

chunks = list(client.chat.completions.create(model="gpt-4o-mini", messages=message, stream=True))
assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == chat.choices[0].message.content
assert all(chunk.usage is None for chunk in chunks)
answered += 1

chunks = list(
    client.chat.completions.create(
        model="gpt-4o-mini", messages=message, stream=True, stream_options={"include_usage": True}
    )
)
assert chunks[-1].usage.completion_tokens == 7, chunks[-1]
answered += 1

embedded = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
assert [len(item.embedding) for item in embedded.data] == [4, 4], embedded
answered += 1

response = client.responses.create(model="gpt-4o-mini", input="Say something.", max_output_tokens=50)
assert response.output_text, response
answered += 1

with client.responses.stream(model="gpt-4o-mini", input="Say something.") as stream:
    for event in stream:
        pass
    assert stream.get_final_response().output_text == response.output_text
answered += 1

raw = client.chat.completions.with_raw_response.create(model="gpt-4o-mini", messages=message)
assert raw.parse().choices, raw
answered += 1

models = sorted(model.id for model in client.models.list())
assert models == ["gpt-4o-mini", "text-embedding-3-small"], models


def raised(call, kind, status):
    """The exception that the call raises, which has to be of that kind."""
    try:
        call()
    except openai.APIStatusError as error:
        assert type(error) is kind and error.status_code == status, (type(error), error.status_code, error.body)
        return error
    raise AssertionError(f"no {kind.__name__}")


def ask(key=None, model="gpt-4o-mini", text="hi"):
    return client.with_options(api_key=key or client.api_key).chat.completions.create(
        model=model, messages=[{"role": "user", "content": text}]
    )


error = raised(lambda: ask(key="sk-nobody-has-this-one"), openai.AuthenticationError, 401)
assert error.body["type"] == "token_not_found_in_db", error.body
error = raised(lambda: ask(model="round-price"), openai.PermissionDeniedError, 403)
assert error.body["type"] == "key_model_access_denied" and error.param == "model", error.body
ask(key=os.environ["LIMITED_KEY"])
error = raised(lambda: ask(key=os.environ["LIMITED_KEY"]), openai.RateLimitError, 429)
assert error.code == "429" and int(error.response.headers["retry-after"]) >= 1, error.response.headers
error = raised(lambda: ask(key=os.environ["BROKE_KEY"]), openai.UnprocessableEntityError, 422)
assert error.body["type"] == "budget_exceeded", error.body
raised(lambda: client.post("/chat/completions", cast_to=object, body={"messages": []}), openai.BadRequestError, 400)
raised(lambda: client.get("/assistants", cast_to=object), openai.NotFoundError, 404)

print(answered)
