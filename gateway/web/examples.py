"""Requests that work, as /openapi.json shows them."""

from __future__ import annotations

from gateway.web.schemas import Json

_ASK = {"chat_name": "local_chat", "content": "Say hello.", "max_tokens": 16}
_SAY = {
    "model": "local_chat",
    "messages": [{"role": "user", "content": "Say hello."}],
    "max_tokens": 16,
}
_TURNS = [{"role": "user", "content": "I am Ann."}, {"role": "assistant", "content": "Hello, Ann."}]
_INPUT = {"model": "openai_chat", "input": "Say hello."}
_MESSAGE = {**_SAY, "model": "zhipu_chat"}
_DEPLOY = {"chat_name": "PROVIDER_chat", "api_key": "YOUR-KEY"}
_TABLE = {"name": "mails.csv", "file": "Y29udGVudApNeSBsYW1wIGJyb2tlLgpUaGFua3MuCg=="}

EXAMPLES: dict[str, Json] = {
    "local.deploy": {"The embedded model": {"chat_name": "local_chat"}},
    "*.deploy": {
        "The provider's usual model": {**_DEPLOY, "base_url": "BASE-URL"},
        "Through another server": {
            **_DEPLOY,
            "base_url": "https://api.example.com/v1",
            "workers": 2,
            "timeout": 60,
        },
    },
    "*.chat": {
        "A question": _ASK,
        "A conversation": {
            **_ASK,
            "system": "Be brief.",
            "history": _TURNS,
            "temperature": "0.5",
            "top_p": 0.9,
        },
        "As it comes": {**_ASK, "stream": True},
        "Plain text": {
            **_ASK,
            "format": "text",
            "charset": "gbk",
            "eol": "crlf",
            "status": 200,
            "lang": "zh",
        },
        "One of a list": {**_ASK, "choices": "yes,no"},
        "Named values": {
            "chat_name": "local_chat",
            "content": "Ann, my lamp broke.",
            "fields": "name,what:lamp|other",
            "format": "csv",
        },
        "In a session": {**_ASK, "session": "order-42", "reset": True},
        "Fetched later": {**_ASK, "job": True, "request_id": "order-42.1"},
    },
    "task.deploy": {
        "One of a list": {
            "chat_name": "sort_mail",
            "through": "local_chat",
            "prompt": "Sort this mail of {{customer}}: {{content}}",
            "choices": ["refund", "complaint", "other"],
        },
        "A better prompt": {
            "chat_name": "sort_mail",
            "through": "local_chat",
            "prompt": "What does {{customer}} want of us? {{content}}",
            "choices": "refund,complaint,other",
            "reply": {"format": "text", "status": 200},
        },
        "Named values": {
            "chat_name": "read_mail",
            "through": "local_chat",
            "system": "You read mails.",
            "prompt": "{{content}}",
            "fields": "name,amount:number,day:date",
            "options": {"temperature": 0},
            "reply": {"format": "text", "charset": "gbk", "eol": "crlf"},
        },
    },
    "task.chat": {
        "A mail": {"chat_name": "sort_mail", "customer": "Ann", "content": "My lamp broke."}
    },
    "task.undo": {"A task": {"chat_name": "sort_mail"}},
    "task.undeploy": {
        "A task": {"chat_name": "sort_mail"},
        "Another": {"chat_name": "read_mail"},
    },
    "all.chat": {
        "Two chats": {
            "content": "Say hello.",
            "chat_names": "local_chat,other_chat",
            "max_tokens": 16,
        }
    },
    "local.models": {"What this machine has": {}},
    "*.models": {"To a key": {"api_key": "YOUR-KEY", "base_url": "BASE-URL"}},
    "*.undo": {"A chat": {"chat_name": "PROVIDER_chat"}},
    "local.fallback": {"To nobody": {"chat_name": "local_chat", "fallback": ""}},
    "*.fallback": {"To the local model": {"chat_name": "PROVIDER_chat", "fallback": "local_chat"}},
    "*.undeploy": {"A chat": {"chat_name": "PROVIDER_chat"}},
    "v1.chat_completions": {"A question": _SAY, "As it comes": {**_SAY, "stream": True}},
    "v1.completions": {
        "A beginning": {"model": "local_chat", "prompt": "Once upon a time", "max_tokens": 16}
    },
    "console.markdown": {"A text": {"text": "Some *words*."}},
    "tables.table": {"Two rows": _TABLE},
    "tables.answered_table": {
        "With an answer": {**_TABLE, "names": ["answer"], "answers": [["refund", ""], None]}
    },
    "v1.embeddings": {"A text": {"model": "openai_chat", "input": "Hello."}},
    "v1.rerank": {
        "Two texts": {"model": "zhipu_chat", "query": "Sea?", "documents": ["Sand.", "Waves."]}
    },
    "v1.moderations": {"A text": {"model": "openai_chat", "input": "Hello."}},
    "v1.images_generations": {"A picture": {"model": "openai_chat", "prompt": "The sea."}},
    "v1.responses": {"A question": _INPUT, "As it comes": {**_INPUT, "stream": True}},
    "v1.messages": {"A question": _MESSAGE, "As it comes": {**_MESSAGE, "stream": True}},
    "v1.messages_count_tokens": {
        "A question": {"model": "zhipu_chat", "messages": _SAY["messages"]}
    },
}
"""Requests by title; PROVIDER stands for the blueprint's name, BASE-URL for its usual one."""
