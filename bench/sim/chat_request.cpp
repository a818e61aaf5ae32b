#include "bench/sim/chat_request.hpp"

#include <algorithm>

#include "bench/sim/json_cursor.hpp"

namespace svc::sim {
namespace {

class Reader {
 public:
  Reader(std::string_view body, bool keep, ChatRequest& out) : json_(body), keep_(keep), out_(out) {}

  bool read() {
    const bool good = json_.object([this](std::string_view key) { return member(key, true); }) && json_.at_end();
    add("<|assistant|>", {}, {});
    return good;
  }

 private:
  bool member(std::string_view key, bool top) {
    std::string_view raw;
    if (top && key == "messages" && json_.peek() == '[') return json_.array([this] { return message(); });
    if (top && key == "prompt") return prompt();
    if (top && key == "sampling_params" && json_.peek() == '{') {
      return json_.object([this](std::string_view inner) { return member(inner, false); });
    }
    if (top && key == "stream_options" && json_.peek() == '{') {
      return json_.object([this](std::string_view inner) {
        std::string_view value;
        const bool good = json_.value(value);
        if (inner == "include_usage") out_.include_usage = value == "true";
        return good;
      });
    }
    if (top && key == "tools" && json_.peek() == '[') return json_.array([this] { return tool(); });
    if (top && key == "tool_choice" && json_.peek() == '{') return function(out_.tool_choice);
    if (!json_.value(raw)) return false;
    if (top && key == "tool_choice") out_.tool_required = raw == "\"required\"";
    if (key == "max_tokens") read_count(raw, out_.max_tokens, top);
    if (!top) return true;
    if (key == "stream") out_.stream = raw == "true";
    if (key == "model" && raw.size() >= 2 && raw.front() == '"') out_.model = raw.substr(1, raw.size() - 2);
    if (key == "max_completion_tokens") read_count(raw, out_.max_completion_tokens, true);
    if (key == "sim_cancel_after") {
      std::optional<std::uint32_t> count;
      read_count(raw, count, true);
      out_.cancel_after = count.value_or(0);
    }
    return true;
  }

  static void read_count(std::string_view raw, std::optional<std::uint32_t>& target, bool overwrite) {
    const auto value = json_integer(raw);
    if (value && *value > 0 && (overwrite || !target)) {
      target = static_cast<std::uint32_t>(std::min<long long>(*value, 1'000'000'000));
    }
  }

  bool tool() {
    std::string_view name;
    if (json_.peek() != '{') return json_.skip();
    if (!function(name)) return false;
    if (!name.empty()) out_.tools.push_back(name);
    return true;
  }

  /// {"function": {"name": NAME}}, with whatever else there is in both.
  bool function(std::string_view& name) {
    return json_.object([&](std::string_view outer) {
      if (outer != "function" || json_.peek() != '{') return json_.skip();
      return json_.object([&](std::string_view inner) {
        return inner == "name" && json_.peek() == '"' ? json_.string(name) : json_.skip();
      });
    });
  }

  bool prompt() {
    std::string_view raw;
    if (json_.peek() != '"') return json_.skip();
    if (!json_.string(raw)) return false;
    out_.has_message = true;
    add("<|user|>", raw, "\n");
    return true;
  }

  bool message() {
    if (json_.peek() != '{') {
      out_.plain = false;
      return json_.skip();
    }
    out_.has_message = true;
    std::string_view role;
    std::string_view content;
    std::string_view parts;
    const bool good = json_.object([&](std::string_view key) {
      if (key == "role" && json_.peek() == '"') return json_.string(role);
      if (key == "content" && json_.peek() == '"') return json_.string(content);
      if (key == "content") return json_.value(parts);
      return json_.skip();
    });
    out_.plain = out_.plain && parts.empty() && (role == "user" || role == "system" || role == "assistant");
    add("<|", role, "|>");
    add(parts, content, "\n");
    return good;
  }

  void add(std::string_view a, std::string_view b, std::string_view c) {
    out_.prompt_bytes += a.size() + b.size() + c.size();
    if (keep_) out_.prompt.append(a).append(b).append(c);
  }

  JsonCursor json_;
  bool keep_;
  ChatRequest& out_;
};

}  // namespace

bool parse_chat(std::string_view body, bool keep_prompt, ChatRequest& out) {
  std::string kept = std::move(out.prompt);
  kept.clear();
  out = ChatRequest{};
  out.prompt = std::move(kept);
  return Reader(body, keep_prompt, out).read();
}

std::optional<std::string_view> forced_tool(const ChatRequest& request) {
  if (request.tool_choice.empty() && !request.tool_required) return std::string_view();
  if (request.tool_required && !request.tools.empty()) return request.tools.front();
  const auto named = std::find(request.tools.begin(), request.tools.end(), request.tool_choice);
  return named == request.tools.end() ? std::nullopt : std::optional(*named);
}

}  // namespace svc::sim
