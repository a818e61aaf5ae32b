// Counts what an answer is worth while it passes: events of an event stream, tokens from `usage`; and knows when its tokens
// have begun. Looks at each byte once at most and keeps no more than a bounded tail.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "router/core/stream_events.hpp"
#include "router/core/token_usage.hpp"

namespace svc::router {

class StreamTally {
 public:
  enum class Kind : std::uint8_t { opaque, event_stream, json };
  explicit StreamTally(Kind kind = Kind::opaque) : kind_(kind) {}

  /// The next piece of content, in order; events and lines may be split anywhere. Cheap: for an event stream about one
  /// memchr per event; usage is looked for only in events that end in "}}" or have it by their name, and in the last
  /// kTailBytes of a JSON answer. Lines end in LF or CRLF (a lone CR, which the standard allows and no engine sends, ends
  /// none).
  void take(std::string_view content);

  /// Tokens of the answer have come, so its prompt is done: a whole line of data, of an event that is no preamble. Servers
  /// may send comments and preambles while the request still waits. Always true of what is no event stream, or cannot be
  /// read.
  [[nodiscard]] bool begun() const { return begun_ || kind_ != Kind::event_stream; }
  /// Data events other than [DONE] and preambles so far, each counted at the blank line that ends it.
  [[nodiscard]] std::uint64_t events() const { return events_; }
  /// The stream said its end: [DONE], or the last event of the other APIs.
  [[nodiscard]] bool done() const { return done_ || (kind_ == Kind::event_stream && says_done(tail_)); }
  /// Nothing of an event is left open: an error event may follow without a blank line before it.
  [[nodiscard]] bool between_events() const { return !event_open_ && tail_.empty(); }
  /// At the end of the answer. completion_tokens falls back to events() for streams that did not tell it (known stays false
  /// for those without any usage).
  [[nodiscard]] Usage usage() const;

  static constexpr std::size_t kTailBytes = 4096;
  static constexpr std::size_t kHeadBytes = 64;  ///< of a long line: enough for data: {"type": "response.in_progress"

 private:
  static bool says_done(std::string_view line);
  void keep(std::string_view part);
  void take_line(std::string_view line);
  void look_for_usage(std::string_view line);

  Kind kind_;
  bool begun_ = false;
  bool done_ = false;
  bool event_open_ = false;      // a line of an event was seen and no blank line since
  bool event_has_data_ = false;  // one of them was data other than [DONE]
  bool event_named_ = false;     // event_ is known: from its name, or else from its data
  StreamEvent event_;
  std::uint64_t events_ = 0;
  ToldUsage told_;
  std::string tail_;  // event_stream: of the unfinished line; json: of the answer
  std::string head_;  // of the unfinished line, when tail_ is not the whole of it any more
};

}  // namespace svc::router
