#include "router/core/stream_tally.hpp"

#include <optional>

namespace svc::router {
namespace {

constexpr std::string_view kData = "data:";

std::size_t skip_blanks(std::string_view text, std::size_t at) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r')) ++at;
  return at;
}

/// Where the value of a key begins whose name (with its quotes) ends before `at`; npos when no colon follows.
std::size_t value_after(std::string_view text, std::size_t at) {
  at = skip_blanks(text, at);
  if (at >= text.size() || text[at] != ':') return std::string_view::npos;
  at = skip_blanks(text, at + 1);
  return at < text.size() ? at : std::string_view::npos;
}

/// The object that begins at the front of `text`, or what is there of it. usage holds numbers, objects and plain words:
/// braces inside of strings are not expected, and would only shorten what is read.
std::string_view object_at_front(std::string_view text) {
  std::size_t depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) return text.substr(0, i + 1);
  }
  return text;
}

std::optional<std::uint64_t> integer_of(std::string_view object, std::string_view quoted_name) {
  const std::size_t name = object.find(quoted_name);
  if (name == std::string_view::npos) return std::nullopt;
  std::size_t at = value_after(object, name + quoted_name.size());
  if (at == std::string_view::npos) return std::nullopt;
  constexpr std::size_t kMaxDigits = 15;
  const std::size_t first = at;
  std::uint64_t value = 0;
  for (; at < object.size() && object[at] >= '0' && object[at] <= '9'; ++at) {
    if (at - first == kMaxDigits) return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(object[at] - '0');
  }
  if (at == first) return std::nullopt;
  if (at < object.size() && (object[at] == '.' || object[at] == 'e' || object[at] == 'E')) return std::nullopt;
  return value;
}

std::string_view data_of(std::string_view line) {
  line.remove_prefix(kData.size());
  if (line.starts_with(' ')) line.remove_prefix(1);
  return line;
}

}  // namespace

Usage find_usage(std::string_view text) {
  // Inside of a JSON string the quotes would be escaped, so this can only be a key (or a value: no colon follows).
  constexpr std::string_view kName = "\"usage\"";
  constexpr int kMostCandidates = 8;  // an engine has one; more is somebody who wants to keep us busy
  Usage usage;
  int candidates = 0;
  for (std::size_t name = text.rfind(kName); name != std::string_view::npos && ++candidates <= kMostCandidates;
       name = name == 0 ? std::string_view::npos : text.rfind(kName, name - 1)) {
    const std::size_t at = value_after(text, name + kName.size());
    if (at == std::string_view::npos || text[at] != '{') continue;
    const std::string_view object = object_at_front(text.substr(at));
    const auto prompt = integer_of(object, "\"prompt_tokens\"");
    const auto completion = integer_of(object, "\"completion_tokens\"");
    if (!prompt && !completion) continue;
    usage.prompt_tokens = prompt.value_or(0);
    usage.completion_tokens = completion.value_or(0);
    const auto cached = integer_of(object, "\"cached_tokens\"");
    usage.cached_tokens = cached.value_or(0);
    usage.cached_known = cached.has_value();
    usage.known = true;
    return usage;
  }
  return usage;
}

bool StreamTally::says_done(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line.starts_with(kData) && data_of(line) == "[DONE]";
}

void StreamTally::keep(std::string_view part) {
  if (tail_.size() + part.size() <= 2 * kTailBytes) {
    tail_ += part;
    return;
  }
  if (!head_lost_) {
    head_lost_ = true;
    const std::string_view head = tail_.size() >= kData.size() ? std::string_view(tail_) : std::string_view{};
    lost_head_is_data_ =
        head.empty() ? (tail_ + std::string(part.substr(0, kData.size()))).starts_with(kData) : head.starts_with(kData);
  }
  if (part.size() >= kTailBytes) {
    tail_.assign(part.substr(part.size() - kTailBytes));
  } else {
    tail_.erase(0, tail_.size() + part.size() - kTailBytes);
    tail_ += part;
  }
}

void StreamTally::take_line(std::string_view line, bool is_data) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) {
    if (event_has_data_) ++events_;
    event_open_ = event_has_data_ = false;
    return;
  }
  if (line.front() == ':' && !is_data) return;  // a comment
  event_open_ = true;
  if (!is_data) return;
  if (says_done(line)) {
    done_ = true;
    return;
  }
  event_has_data_ = true;
  if (line.ends_with("}}")) {
    if (const Usage found = find_usage(line); found.known) usage_ = found;
  }
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
      take_line(part, part.starts_with(kData));
      continue;
    }
    keep(part);
    take_line(tail_, head_lost_ ? lost_head_is_data_ : tail_.starts_with(kData));
    tail_.clear();
    head_lost_ = false;
  }
}

Usage StreamTally::usage() const {
  Usage usage = kind_ == Kind::json ? find_usage(tail_) : usage_;
  if (!usage.known && kind_ == Kind::event_stream) usage.completion_tokens = events_;
  return usage;
}

}  // namespace svc::router
