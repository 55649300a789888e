"""Answers and errors of chat APIs in the shapes that each vendor sends.

Streams are given as (opening, word, finish, usage and end). The word stands for the answer ``@SUM@``, which the test
server replaces. Sources are the vendors' API references and wire captures in public issue trackers, November 2026.
"""

from __future__ import annotations

from typing import NamedTuple


class Stream(NamedTuple):
    opening: bytes
    reasoning: bytes
    word: bytes
    finish: bytes
    end: bytes

    def answer(self) -> tuple[bytes, ...]:
        return (self.opening, self.word, self.finish, self.end)

    def finishing(self, reason: str) -> bytes:
        return self.finish.replace(b'"stop"', f'"{reason}"'.encode()).replace(b'"end_turn"', f'"{reason}"'.encode())


OPENAI = Stream(
    b'data: {"id":"chatcmpl-C1","object":"chat.completion.chunk","created":1795430400,"model":"gpt-6-luna-2026-08-12",'
    b'"service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"role":"assistant",'
    b'"content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"x1"}\n\n',
    b"",
    b'data: {"id":"chatcmpl-C1","object":"chat.completion.chunk","created":1795430400,"model":"gpt-6-luna-2026-08-12",'
    b'"service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":"@SUM@"},'
    b'"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"y2"}\n\n',
    b'data: {"id":"chatcmpl-C1","object":"chat.completion.chunk","created":1795430400,"model":"gpt-6-luna-2026-08-12",'
    b'"system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],'
    b'"usage":null}\n\n',
    b'data: {"id":"chatcmpl-C1","object":"chat.completion.chunk","created":1795430400,"model":"gpt-6-luna-2026-08-12",'
    b'"system_fingerprint":"fp_44709d6fcb","choices":[],"usage":{"prompt_tokens":21,"completion_tokens":2,'
    b'"total_tokens":23,"completion_tokens_details":{"reasoning_tokens":0}}}\n\ndata: [DONE]\n\n',
)

DEEPSEEK = Stream(
    b'data: {"id":"d1","object":"chat.completion.chunk","created":1795430400,"model":"deepseek-v4-pro",'
    b'"system_fingerprint":"fp_ds_8802","choices":[{"index":0,"delta":{"role":"assistant","content":null,'
    b'"reasoning_content":""},"logprobs":null,"finish_reason":null}]}\n\n',
    b'data: {"id":"d1","object":"chat.completion.chunk","created":1795430400,"model":"deepseek-v4-pro",'
    b'"system_fingerprint":"fp_ds_8802","choices":[{"index":0,"delta":{"content":null,"reasoning_content":"Let me"},'
    b'"logprobs":null,"finish_reason":null}]}\n\n',
    b'data: {"id":"d1","object":"chat.completion.chunk","created":1795430400,"model":"deepseek-v4-pro",'
    b'"system_fingerprint":"fp_ds_8802","choices":[{"index":0,"delta":{"content":"@SUM@","reasoning_content":null},'
    b'"logprobs":null,"finish_reason":null}]}\n\n',
    b'data: {"id":"d1","object":"chat.completion.chunk","created":1795430400,"model":"deepseek-v4-pro",'
    b'"system_fingerprint":"fp_ds_8802","choices":[{"index":0,"delta":{"content":"","reasoning_content":null},'
    b'"logprobs":null,"finish_reason":"stop"}]}\n\n',
    b'data: {"id":"d1","object":"chat.completion.chunk","created":1795430400,"model":"deepseek-v4-pro","choices":[],'
    b'"usage":{"prompt_tokens":18,"completion_tokens":42,"total_tokens":60,"prompt_cache_hit_tokens":0,'
    b'"prompt_cache_miss_tokens":18,"completion_tokens_details":{"reasoning_tokens":40}}}\n\ndata: [DONE]\n\n',
)

OPENROUTER = Stream(
    b": OPENROUTER PROCESSING\n\n"
    b'data: {"id":"gen-1","provider":"Novita","model":"deepseek/deepseek-r2","object":"chat.completion.chunk",'
    b'"created":1795430400,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null,'
    b'"native_finish_reason":null,"logprobs":null}]}\n\n',
    b'data: {"id":"gen-1","provider":"Novita","model":"deepseek/deepseek-r2","object":"chat.completion.chunk",'
    b'"created":1795430400,"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"Adding",'
    b'"reasoning_details":[{"type":"reasoning.text","text":"Adding","format":"unknown","index":0}]},'
    b'"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}\n\n',
    b'data: {"id":"gen-1","provider":"Novita","model":"deepseek/deepseek-r2","object":"chat.completion.chunk",'
    b'"created":1795430400,"choices":[{"index":0,"delta":{"role":"assistant","content":"@SUM@"},"finish_reason":null,'
    b'"native_finish_reason":null,"logprobs":null}]}\n\n',
    b'data: {"id":"gen-1","provider":"Novita","model":"deepseek/deepseek-r2","object":"chat.completion.chunk",'
    b'"created":1795430400,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop",'
    b'"native_finish_reason":"stop","logprobs":null}]}\n\n',
    b'data: {"id":"gen-1","provider":"Novita","model":"deepseek/deepseek-r2","object":"chat.completion.chunk",'
    b'"created":1795430400,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],'
    b'"usage":{"prompt_tokens":20,"completion_tokens":9,"total_tokens":29,"cost":0.00002,'
    b'"completion_tokens_details":{"reasoning_tokens":6}}}\n\ndata: [DONE]\n\n',
)

VLLM = Stream(
    b'data: {"id":"chatcmpl-v","object":"chat.completion.chunk","created":1795430400,"model":"Qwen/Qwen3-8B",'
    b'"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}\n\n',
    b'data: {"id":"chatcmpl-v","object":"chat.completion.chunk","created":1795430400,"model":"Qwen/Qwen3-8B",'
    b'"choices":[{"index":0,"delta":{"reasoning":"Okay","reasoning_content":"Okay"},"logprobs":null,'
    b'"finish_reason":null}]}\n\n',
    b'data: {"id":"chatcmpl-v","object":"chat.completion.chunk","created":1795430400,"model":"Qwen/Qwen3-8B",'
    b'"choices":[{"index":0,"delta":{"content":"@SUM@"},"logprobs":null,"finish_reason":null,"token_ids":null}]}\n\n',
    b'data: {"id":"chatcmpl-v","object":"chat.completion.chunk","created":1795430400,"model":"Qwen/Qwen3-8B",'
    b'"choices":[{"index":0,"delta":{"content":""},"logprobs":null,"finish_reason":"stop","stop_reason":null}]}\n\n',
    b'data: {"id":"chatcmpl-v","object":"chat.completion.chunk","created":1795430400,"model":"Qwen/Qwen3-8B",'
    b'"choices":[],"usage":{"prompt_tokens":25,"total_tokens":30,"completion_tokens":5}}\n\ndata: [DONE]\n\n',
)

ANTHROPIC = Stream(
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
    b'"model":"claude-haiku-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":22,'
    b'"cache_creation_input_tokens":0,"output_tokens":1}}}\n\n'
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text",'
    b'"text":""}}\n\nevent: ping\ndata: {"type": "ping"}\n\n',
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta",'
    b'"thinking":"I add"}}\n\n',
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",'
    b'"text":"@SUM@"}}\n\n',
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"output_tokens":6}}\n\n',
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
)

STREAMS = {"openai": OPENAI, "deepseek": DEEPSEEK, "openrouter": OPENROUTER, "vllm": VLLM, "anthropic": ANTHROPIC}

OPENAI_BODY = (
    b'{"id":"chatcmpl-C2","object":"chat.completion","created":1795430400,"model":"gpt-6-luna-2026-08-12","choices":'
    b'[{"index":0,"message":{"role":"assistant","content":"@SUM@","refusal":null,"annotations":[]},"logprobs":null,'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":21,"completion_tokens":2,"total_tokens":23},'
    b'"system_fingerprint":"fp_44709d6fcb"}'
)
ANTHROPIC_BODY = (
    b'{"id":"msg_2","type":"message","role":"assistant","model":"claude-haiku-5","content":[{"type":"text",'
    b'"text":"@SUM@"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":22,"output_tokens":6}}'
)


def openai_error(message: str, kind: str, code: str | None = None) -> str:
    shown = "null" if code is None else f'"{code}"'
    return f'{{"error":{{"message":"{message}","type":"{kind}","param":null,"code":{shown}}}}}'


def anthropic_error(kind: str, message: str, details: str = "") -> str:
    more = f',"details":{{"error_code":"{details}"}}' if details else ""
    return f'{{"type":"error","error":{{"type":"{kind}","message":"{message}"{more}}},"request_id":"req_011"}}'


def openrouter_error(code: int, message: str) -> str:
    return f'{{"error":{{"message":"{message}","code":{code},"metadata":{{"provider_name":"Novita"}}}},"user_id":"u1"}}'


def vllm_error(code: int, kind: str, message: str) -> str:
    return f'{{"object":"error","message":"{message}","type":"{kind}","param":null,"code":{code}}}'
