#include "router/core/stream_tally.hpp"

namespace svc::router {
namespace {

constexpr std::string_view kData = "data:";
constexpr std::string_view kEvent = "event:";

std::string_view value_of(std::string_view line, std::string_view field) {
  line.remove_prefix(field.size());
  if (line.starts_with(' ')) line.remove_prefix(1);
  return line;
}

/// Two bytes that tell events of chat completions, which are most: {"id"
bool may_begin_with_type(std::string_view data) {
  return data.size() > 2 && data[0] == '{' && (data[1] != '"' || data[2] == 't');
}

}  // namespace

bool StreamTally::says_done(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line.starts_with(kData) && value_of(line, kData) == "[DONE]";
}

void StreamTally::keep(std::string_view part) {
  if (tail_.size() + part.size() <= 2 * kTailBytes) {
    tail_ += part;
    return;
  }
  if (head_.empty()) {
    head_ = tail_.substr(0, kHeadBytes);
    head_ += part.substr(0, kHeadBytes - head_.size());
  }
  if (part.size() >= kTailBytes) {
    tail_.assign(part.substr(part.size() - kTailBytes));
  } else {
    tail_.erase(0, tail_.size() + part.size() - kTailBytes);
    tail_ += part;
  }
}

void StreamTally::take_line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) {
    if (event_has_data_ && !event_.preamble) ++events_;
    event_open_ = event_has_data_ = event_named_ = false;
    event_ = {};
    return;
  }
  const std::string_view head = head_.empty() ? line : std::string_view(head_);
  if (head.front() == ':') return;  // a comment
  event_open_ = true;
  if (!head.starts_with(kData)) {
    if (head.starts_with(kEvent)) {
      const std::string_view name = value_of(head, kEvent);
      event_ = stream_event(name);
      event_named_ = !name.empty();
    }
    return;
  }
  if (says_done(line)) {
    begun_ = done_ = true;
    return;
  }
  const std::string_view data = value_of(head, kData);
  if (data.empty()) return;  // clients are not shown an event without data, and some servers send that as a comment
  if (!event_named_) {
    if (may_begin_with_type(data)) event_ = stream_event(type_at_front(data));
    event_named_ = true;
  }
  event_has_data_ = true;
  if (!event_.preamble) begun_ = true;
  if (event_.last) done_ = true;
  look_for_usage(line);
}

void StreamTally::look_for_usage(std::string_view line) {
  switch (event_.usage) {
    case StreamEvent::Usage::nowhere: return;
    case StreamEvent::Usage::at_its_end:
      if (!line.ends_with("}}")) return;
      break;
    case StreamEvent::Usage::anywhere: break;
  }
  ToldUsage found = find_usage(line);
  // What an answer is said to have before it began is no count of its tokens. If it is cut, its events are.
  if (event_.preamble) found.completion.reset();
  told_.merge(found);
}

void StreamTally::take(std::string_view content) {
  if (kind_ == Kind::opaque) return;
  if (kind_ == Kind::json) {
    keep(content);
    return;
  }
  while (!content.empty()) {
    const std::size_t end = content.find('\n');
    if (end == std::string_view::npos) {
      keep(content);
      return;
    }
    const std::string_view part = content.substr(0, end);
    content.remove_prefix(end + 1);
    if (tail_.empty()) {
      take_line(part);
      continue;
    }
    keep(part);
    take_line(tail_);
    tail_.clear();
    head_.clear();
  }
}

Usage StreamTally::usage() const {
  const ToldUsage told = kind_ == Kind::json ? find_usage(tail_) : told_;
  Usage usage = told.sum();
  if (!told.completion && kind_ == Kind::event_stream) usage.completion_tokens = events_;
  return usage;
}

}  // namespace svc::router
