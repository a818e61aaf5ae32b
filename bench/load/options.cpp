#include "bench/load/options.hpp"

#include <algorithm>

namespace svc::load {
namespace {

constexpr std::string_view kProse =
    "The instance that was chosen holds the request until its first token is there; \\\"later\\\" ones follow one by "
    "one.\\nWhat the user wrote is of no concern to it. ";
constexpr std::size_t kMessageBytes = 4096;  // long bodies are conversations, not one message
constexpr std::string_view kBeginning = R"({"messages":[{"role":"user","content":")";
constexpr std::size_t kDigits = 12;

std::string messages_of(std::size_t bytes, bool numbered) {
  std::string text(kBeginning);
  std::size_t message_start = text.size();
  if (numbered) {
    text.append(kDigits, '0').append(" ");
  }
  bool from_user = true;
  while (text.size() < bytes) {
    if (text.size() - message_start > kMessageBytes && bytes - text.size() > 200) {
      from_user = !from_user;
      text += from_user ? R"("},{"role":"user","content":")" : R"("},{"role":"assistant","content":")";
      message_start = text.size();
    }
    const auto left = bytes - std::min(bytes, text.size());
    // A piece of it must not end within an escape: what is short of a whole one is filled with letters.
    text += left >= kProse.size() ? std::string(kProse) : std::string(left, 'x');
  }
  return text + R"("}])";
}

}  // namespace

std::string_view to_string(Mode mode) {
  switch (mode) {
    case Mode::unary: return "unary";
    case Mode::sse: return "sse";
    case Mode::cancel: return "cancel";
    case Mode::hold: return "hold";
  }
  return "?";
}

std::string wrap_request(const Options& options, std::string_view body, std::string_view fields) {
  std::string request =
      "POST " + options.path + " HTTP/1.1\r\nHost: " + options.host + ":" + std::to_string(options.ports.front()) +
      "\r\nUser-Agent: infinilm-bench\r\nAccept: " + (options.streaming() ? "text/event-stream" : "application/json") +
      "\r\nAuthorization: Bearer sk-0123456789abcdef0123456789abcdef\r\n"
      "Content-Type: application/json\r\n";
  request.append(fields).append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n");
  return request.append(body);
}

std::string make_request(const Options& options) {
  std::string tail = R"(,"model":")" + options.model + R"(","max_tokens":)" + std::to_string(options.tokens) +
                     R"(,"temperature":0.7,"stream":)" + (options.streaming() ? "true}" : "false}");
  constexpr std::size_t kClosing = 3;  // the end of the last message
  const auto wanted = options.body_bytes - std::min(options.body_bytes, tail.size() + kClosing);
  const std::string body = messages_of(wanted, options.distinct) + tail;
  return wrap_request(options, body);
}

void number_request(std::string& request, std::uint64_t number) {
  const std::size_t place = request.find(kBeginning) + kBeginning.size();
  for (std::size_t digit = kDigits; digit > 0; --digit, number /= 10) {
    request[place + digit - 1] = static_cast<char>('0' + number % 10);
  }
}

}  // namespace svc::load
