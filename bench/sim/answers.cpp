#include "bench/sim/answers.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "bench/sim/token_text.hpp"
#include "bench/sim/tool_call.hpp"
#include "common/core/json_text.hpp"
#include "common/core/time_text.hpp"

namespace svc::sim {
namespace {

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 413: return "Content Too Large";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Status";
  }
}

void append_hex(std::string& out, std::uint64_t value, std::size_t width) {
  char digits[16];
  const auto end = std::to_chars(digits, digits + sizeof digits, value, 16).ptr;
  const auto count = static_cast<std::size_t>(end - digits);
  if (count < width) out.append(width - count, '0');
  out.append(digits, count);
}

std::string_view stamp(char (&buffer)[64], TimePoint now, std::uint32_t n) {
  char* at = std::copy_n("\"t\":", 4, buffer);
  at = std::to_chars(at, buffer + 40, now.time_since_epoch().count()).ptr;
  at = std::copy_n(",\"seq\":", 7, at);
  at = std::to_chars(at, buffer + sizeof buffer, n).ptr;
  *at++ = ',';
  return {buffer, static_cast<std::size_t>(at - buffer)};
}

constexpr std::size_t kLongestStamp = 50;

}  // namespace

Answers::Answers(const Options& options) : options_(options), fixed_(options.chunk_bytes > 0) {
  for (const std::string& model : options.models) append_json_string(models_json_.emplace_back(), model);
  set_time(steady_now());
  Generation longest;
  const auto by_size = [](const std::string& a, const std::string& b) { return a.size() < b.size(); };
  longest.model = static_cast<std::size_t>(std::max_element(models_json_.begin(), models_json_.end(), by_size) -
                                           models_json_.begin());
  longest.prompt_tokens = longest.generated = longest.cached_tokens = 999'999'999;
  longest.finish_reason = "canceled";
  if (options.answer_bytes > 0) {
    const std::size_t least = completion_with(longest, {}).size();
    if (options.answer_bytes < least) {
      throw std::invalid_argument("--answer-bytes must be at least " + std::to_string(least));
    }
  }
  if (fixed_) {
    const auto least = [&](bool compact) {
      set_event_parts(longest, compact);
      return 7 + (options.stamp ? kLongestStamp : 0) + longest.event_head.size() + 4 + longest.event_tail.size();
    };
    compact_ = options.chunk_bytes < least(false);
    if (options.chunk_bytes < least(compact_)) {
      throw std::invalid_argument("--chunk-bytes must be at least " + std::to_string(least(true)));
    }
  }
  filler_.assign(std::max(options.answer_bytes, options.chunk_bytes), 'x');
}

void Answers::set_time(TimePoint now) {
  if (now < fields_until_) return;
  const WallTime wall = wall_now();
  fields_ = "date: " + http_date(wall) + "\r\nserver: uvicorn\r\n";
  if (!options_.name.empty()) fields_ += "x-sim-name: " + options_.name + "\r\n";
  created_ = std::to_string(std::chrono::duration_cast<std::chrono::seconds>(wall.time_since_epoch()).count());
  fields_until_ = now + std::chrono::milliseconds(500);
}

void Answers::head(std::string& out, int status, std::string_view type, const Framing& framing) const {
  out += "HTTP/1.1 ";
  append_json_int(out, status);
  out.append(" ").append(reason_phrase(status)).append("\r\n").append(fields_);
  if (!type.empty()) out.append("content-type: ").append(type).append("\r\n");
  if (!framing.keep_alive) {
    out += "connection: close\r\n";
  } else if (framing.http10) {
    out += "connection: keep-alive\r\n";
  }
}

void Answers::plain(std::string& out, int status, std::string_view type, std::string_view body, const Framing& framing,
                    std::string_view extra) const {
  head(out, status, type, framing);
  out.append(extra).append("content-length: ");
  append_json_int(out, body.size());
  out += "\r\n\r\n";
  if (!framing.no_body) out += body;
}

std::string Answers::id(const Generation& generation, bool compact) const {
  std::string text;
  if (options_.kind == EngineKind::rust) {
    text = "InfiniLM-Service-chatcmpl-0x";
  } else {
    text = options_.kind == EngineKind::vllm && !generation.completions ? "chatcmpl-" : "cmpl-";
  }
  append_hex(text, compact ? generation.number & 0xffffffffU : generation.number, compact ? 8 : 16);
  return text;
}

std::string Answers::usage(const Generation& generation) const {
  std::string text = "{\"prompt_tokens\":" + std::to_string(generation.prompt_tokens);
  text += ",\"completion_tokens\":" + std::to_string(generation.generated);
  text += ",\"total_tokens\":" + std::to_string(generation.prompt_tokens + generation.generated);
  if (options_.kind == EngineKind::vllm) {
    text += ",\"prompt_tokens_details\":{\"cached_tokens\":" + std::to_string(generation.cached_tokens) + "}";
  }
  return text + "}";
}

std::string Answers::completion_with(const Generation& generation, std::string_view content) const {
  std::string out = "{\"id\":\"" + id(generation, false) + "\",\"object\":\"";
  out += generation.completions ? "text_completion" : "chat.completion";
  out.append("\",\"created\":").append(created_).append(",\"model\":").append(models_json_[generation.model]);
  out += ",\"system_fingerprint\":null,\"choices\":[{\"index\":0,";
  if (!generation.tool.empty()) {
    out += tool_message(generation.number, generation.tool, content);
  } else {
    out += generation.completions ? "\"text\":\"" : "\"message\":{\"role\":\"assistant\",\"content\":\"";
    out.append(content).append(generation.completions ? "\"" : "\"}");
  }
  out.append(",\"logprobs\":null,\"finish_reason\":\"").append(generation.finish_reason).append("\"}],\"usage\":");
  return out.append(usage(generation)).append("}");
}

std::string Answers::completion(const Generation& generation) const {
  if (options_.answer_bytes == 0) return completion_with(generation, answer_text(generation.generated));
  const std::size_t bare = completion_with(generation, {}).size();  // a function's long name may be more than there is
  const std::size_t rest = options_.answer_bytes - std::min(options_.answer_bytes, bare);
  return completion_with(generation, std::string_view(filler_).substr(0, rest));
}

std::string Answers::models() const {
  const char* owner = options_.kind == EngineKind::vllm   ? "vllm"
                      : options_.kind == EngineKind::rust ? "QYLab"
                                                          : "infinilm";
  std::string out = "{\"object\":\"list\",\"data\":[";
  for (const std::string& model : models_json_) {
    if (out.back() == '}') out += ',';
    out.append("{\"id\":").append(model).append(",\"object\":\"model\",\"created\":").append(created_);
    out.append(",\"owned_by\":\"").append(owner).append("\"");
    if (options_.kind == EngineKind::vllm) out += ",\"max_model_len\":131072";
    out += '}';
  }
  return out + "]}";
}

void Answers::set_event_parts(Generation& g, bool compact) const {
  g.event_head = "\"id\":\"" + id(g, compact) + "\",\"object\":\"";
  g.event_head += g.completions ? "text_completion\"" : "chat.completion.chunk\"";
  if (!compact) {
    g.event_head.append(",\"created\":").append(created_).append(",\"model\":").append(models_json_[g.model]);
    if (options_.kind == EngineKind::infinilm) g.event_head += ",\"system_fingerprint\":null";
  }
  g.event_head += ",\"choices\":[{\"index\":0,";
  g.event_middle.clear();
  if (!g.tool.empty()) {
    g.event_head += kToolDeltaHead;
  } else if (g.completions) {
    g.event_head += "\"text\":\"";
  } else if (options_.kind == EngineKind::infinilm && !compact && !fixed_) {
    g.event_head += "\"text\":\"";
    g.event_middle = "\",\"delta\":{\"content\":\"";
  } else {
    if (options_.kind == EngineKind::infinilm && !compact) g.event_head += "\"text\":null,";
    g.event_head += "\"delta\":{\"content\":\"";
  }
  g.event_tail = !g.tool.empty() ? kToolDeltaTail : g.completions ? "\"" : "\"}";
  g.event_tail += compact ? ",\"finish_reason\":null}]}\n\n" : ",\"logprobs\":null,\"finish_reason\":null}]}\n\n";
}

void Answers::begin_stream(std::string& out, Generation& g, const Framing& framing) const {
  head(out, 200, "text/event-stream; charset=utf-8", framing);
  out += framing.http10 ? "\r\n" : "transfer-encoding: chunked\r\n\r\n";
  set_event_parts(g, compact_);
}

void Answers::open_message(std::string& out, const Generation& g, const Framing& framing) const {
  if (options_.kind == EngineKind::vllm && !g.completions) {
    const std::string before = "data: {" + g.event_head.substr(0, g.event_head.rfind("\"delta\""));
    const std::string after = ",\"logprobs\":null,\"finish_reason\":null}]}\n\n";
    frame(out, before + "\"delta\":{\"role\":\"assistant\",\"content\":\"\"}" + after, framing);
    if (!g.tool.empty()) frame(out, before + tool_delta_begin(g.number, g.tool) + after, framing);
  }
}

void Answers::frame(std::string& out, std::string_view event, const Framing& framing) const {
  if (framing.http10) {
    out += event;
    return;
  }
  append_hex(out, event.size(), 1);
  out.append("\r\n").append(event).append("\r\n");
}

void Answers::event(std::string& out, const Generation& g, std::uint32_t n, TimePoint now,
                    const Framing& framing) const {
  char buffer[64];
  const std::string_view mark = options_.stamp ? stamp(buffer, now, n) : std::string_view{};
  const std::size_t words = g.event_middle.empty() ? 4 : 8;
  const std::size_t bare = 7 + mark.size() + g.event_head.size() + g.event_middle.size() + words + g.event_tail.size();
  const std::size_t size = std::max(bare, options_.chunk_bytes);
  if (!framing.http10) {
    append_hex(out, size, 1);
    out += "\r\n";
  }
  out.append("data: {").append(mark).append(g.event_head);
  append_token(out, n);
  if (!g.event_middle.empty()) {
    out += g.event_middle;
    append_token(out, n);
  }
  if (size > bare) out.append(filler_, 0, size - bare);
  out += g.event_tail;
  if (!framing.http10) out += "\r\n";
}

void Answers::end_stream(std::string& out, const Generation& g, const Framing& framing, std::string_view text) const {
  if (g.generated == 0 && !options_.role_at_once) open_message(out, g, framing);
  if (!g.tool.empty() && text.empty()) {
    frame(out, ("data: {" + g.event_head).append(kToolArgumentsEnd).append(g.event_tail), framing);
  }
  std::string start = "data: {\"id\":\"" + id(g, compact_) + "\",\"object\":\"";
  start.append(g.completions ? "text_completion" : "chat.completion.chunk").append("\",\"created\":").append(created_);
  start.append(",\"model\":").append(models_json_[g.model]);
  if (options_.kind == EngineKind::infinilm) start += ",\"system_fingerprint\":null";
  std::string last = start + ",\"choices\":[{\"index\":0,";
  if (g.completions) {
    last.append("\"text\":\"").append(text).append("\"");
  } else {
    std::string quoted = text.empty() ? std::string() : "\"" + std::string(text) + "\"";
    if (options_.kind == EngineKind::infinilm) last.append("\"text\":").append(quoted.empty() ? "null," : quoted + ",");
    last += quoted.empty() ? "\"delta\":{}" : "\"delta\":{\"content\":" + quoted + "}";
  }
  last.append(",\"logprobs\":null,\"finish_reason\":\"").append(g.finish_reason).append("\"}]}\n\n");
  frame(out, last, framing);
  if (g.include_usage && options_.kind == EngineKind::vllm) {
    frame(out, start + ",\"choices\":[],\"usage\":" + usage(g) + "}\n\n", framing);
  }
  frame(out, "data: [DONE]\n\n", framing);
  if (!framing.http10) out += "0\r\n\r\n";
}

}  // namespace svc::sim
