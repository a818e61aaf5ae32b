#include "router/core/stream_events.hpp"

#include <array>

namespace svc::router {
namespace {

struct Named {
  std::string_view name;
  StreamEvent event;
};

using Where = StreamEvent::Usage;
constexpr std::array kNamed{
    // They come by the thousand, and each ends in "}}".
    Named{"content_block_delta", {false, false, Where::nowhere}},
    Named{"response.created", {true, false, Where::nowhere}},
    Named{"response.queued", {true, false, Where::nowhere}},
    Named{"response.in_progress", {true, false, Where::nowhere}},
    Named{"keepalive", {true, false, Where::nowhere}},  // OpenAI's; in no document of theirs
    Named{"ping", {true, false, Where::nowhere}},
    Named{"message_start", {true, false, Where::anywhere}},
    // Behind usage there may be user, metadata, sequence_number; Anthropic's own events are padded with blanks.
    Named{"message_delta", {false, false, Where::anywhere}},
    Named{"message_stop", {false, true, Where::nowhere}},
    Named{"response.completed", {false, true, Where::anywhere}},
    Named{"response.incomplete", {false, true, Where::anywhere}},
    Named{"response.failed", {false, true, Where::anywhere}},
};

bool drop(std::string_view& text, std::string_view front) {
  const std::size_t word = text.find_first_not_of(" \t");
  if (word == std::string_view::npos || !text.substr(word).starts_with(front)) return false;
  text.remove_prefix(word + front.size());
  return true;
}

}  // namespace

StreamEvent stream_event(std::string_view name) {
  if (name.empty()) return {};
  for (const Named& known : kNamed) {
    if (known.name == name) return known.event;
  }
  return {};
}

std::string_view type_at_front(std::string_view data) {
  if (!drop(data, "{") || !drop(data, "\"type\"") || !drop(data, ":") || !drop(data, "\"")) return {};
  const std::size_t end = data.find('"');
  return end == std::string_view::npos ? std::string_view{} : data.substr(0, end);
}

}  // namespace svc::router
