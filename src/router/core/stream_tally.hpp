// Counts what an answer is worth while it passes: events of an event stream, tokens from `usage`. Looks at each byte
// once at most and keeps no more than a bounded tail.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace svc::router {

struct Usage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
  std::uint64_t cached_tokens = 0;  ///< usage.prompt_tokens_details.cached_tokens
  bool known = false;
  bool cached_known = false;  ///< cached_tokens was stated
};

class StreamTally {
 public:
  enum class Kind : std::uint8_t { opaque, event_stream, json };
  explicit StreamTally(Kind kind = Kind::opaque) : kind_(kind) {}

  /// The next piece of content, in order; events and lines may be split anywhere. Cheap: for an event stream about one
  /// memchr per event; usage is looked for only in events that end in "}}" and in the last kTailBytes of a JSON answer.
  /// Lines end in LF or CRLF (a lone CR, which the standard allows and no engine sends, ends none).
  void take(std::string_view content);

  /// Data events other than [DONE] so far, each counted at the blank line that ends it.
  [[nodiscard]] std::uint64_t events() const { return events_; }
  /// The stream said [DONE].
  [[nodiscard]] bool done() const { return done_ || (kind_ == Kind::event_stream && says_done(tail_)); }
  /// Nothing of an event is left open: an error event may follow without a blank line before it.
  [[nodiscard]] bool between_events() const { return !event_open_ && tail_.empty(); }
  /// At the end of the answer. completion_tokens falls back to events() for streams without usage (known stays false).
  [[nodiscard]] Usage usage() const;

  static constexpr std::size_t kTailBytes = 4096;

 private:
  static bool says_done(std::string_view line);
  void keep(std::string_view part);
  void take_line(std::string_view line, bool is_data);

  Kind kind_;
  bool done_ = false;
  bool event_open_ = false;      // a line of an event was seen and no blank line since
  bool event_has_data_ = false;  // one of them was data other than [DONE]
  bool head_lost_ = false;       // tail_ is not the whole unfinished line any more
  bool lost_head_is_data_ = false;
  std::uint64_t events_ = 0;
  Usage usage_;
  std::string tail_;  // event_stream: of the unfinished line; json: of the answer
};

/// The last `"usage": {...}` in a text that ends a JSON document (its beginning may be missing). known is false without
/// one. Values that are no plain integers of at most 15 digits are ignored.
[[nodiscard]] Usage find_usage(std::string_view text);

}  // namespace svc::router
