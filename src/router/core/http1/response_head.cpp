#include "router/core/http1/response_head.hpp"

#include <algorithm>

#include "router/core/http1/byte_scan.hpp"
#include "router/core/http1/field_scan.hpp"

namespace svc::router {
namespace {

constexpr std::string_view kLinePattern = "HTTP/1.v sss";
constexpr std::size_t kMaxReasonBytes = 1024;

/// Without touching the storage, which is 4 KiB.
void clear(ResponseHead& head) {
  head.status = 0;
  head.version = 11;
  head.reason = head.content_encoding = head.retry_after = head.upgrade = {};
  head.field_count = head.connection_option_count = 0;
  head.framing = BodyFraming::none;
  head.content_length = 0;
  head.has_content_length = head.event_stream = head.json = false;
  head.keep_alive = true;
}

class AnswerReader {
 public:
  AnswerReader(std::string_view buffer, std::string_view method, bool upgrade_asked, const RequestHeadLimits& limits,
               ResponseHead& head)
      : bytes_(buffer.substr(0, limits.head_bytes)),
        method_(method),
        upgrade_asked_(upgrade_asked),
        limits_(limits),
        head_(head),
        clipped_(buffer.size() >= limits.head_bytes) {}

  ResponseReading read() {
    clear(head_);
    const std::size_t line = read_status_line();
    if (line == 0) return done_early();
    FieldScan scan(bytes_.substr(line), head_.field_storage, head_.kind_storage, limits_.fields, "answer");
    auto step = FieldScan::Step::incomplete;
    while ((step = scan.next()) == FieldScan::Step::field) {
      if (!take_field(scan.field(), scan.kind())) return std::move(reading_);
    }
    if (step == FieldScan::Step::refused) refuse(scan.refusal().message);
    if (step != FieldScan::Step::end) return done_early();
    head_.field_count = scan.count();
    if (finish()) {
      reading_.state = HeadState::complete;
      reading_.bytes = line + scan.used();
    }
    return std::move(reading_);
  }

 private:
  bool refuse(std::string_view problem) {
    reading_.state = HeadState::refused;
    reading_.problem = problem;
    return false;
  }

  ResponseReading done_early() {
    if (reading_.state == HeadState::incomplete && clipped_) {
      refuse("the answer's head is larger than " + std::to_string(limits_.head_bytes) + " bytes");
    }
    return std::move(reading_);
  }

  std::size_t read_status_line();
  std::size_t read_reason(std::size_t at);
  bool take_field(const FieldView& field, FieldKind kind);
  bool take_length(std::string_view value);
  bool take_encoding(std::string_view value);
  void take_type(std::string_view value);
  bool finish();
  void decide_framing();

  std::string_view bytes_;
  std::string_view method_;
  bool upgrade_asked_;
  const RequestHeadLimits& limits_;
  ResponseHead& head_;
  bool clipped_;
  ResponseReading reading_;
  bool chunked_ = false;
  bool typed_ = false;
  ConnectionWords words_{head_.connection_options};
};

/// Its length with the line end; 0: incomplete or refused.
std::size_t AnswerReader::read_status_line() {
  for (std::size_t i = 0; i < kLinePattern.size(); ++i) {
    if (i == bytes_.size()) return 0;
    const char c = bytes_[i];
    const char wanted = kLinePattern[i];
    const bool digit = c >= '0' && c <= '9';
    if (wanted == 'v' ? (c != '0' && c != '1') : wanted == 's' ? !digit : c != wanted) {
      refuse("the answer does not begin with HTTP/1.1 or HTTP/1.0 and a status");
      return 0;
    }
    if (wanted == 's') head_.status = head_.status * 10 + (c - '0');
  }
  head_.version = bytes_[7] == '1' ? 11 : 10;
  if (head_.status < 100 || head_.status > 599) {
    refuse("the status " + std::to_string(head_.status) + " is not from 100 to 599");
    return 0;
  }
  return read_reason(kLinePattern.size());
}

/// A blank and a reason, or (as many servers have it) nothing at all.
std::size_t AnswerReader::read_reason(std::size_t at) {
  if (at == bytes_.size()) return 0;
  const char* const end = bytes_.data() + bytes_.size();
  const char* reason = bytes_.data() + at;
  const char* line_end = reason;
  if (*reason == ' ') {
    ++reason;
    line_end = find_end_of<ValueBytes>(reason, end);
  }
  if (line_end - reason > static_cast<std::ptrdiff_t>(kMaxReasonBytes)) {
    refuse("the reason phrase is longer than " + std::to_string(kMaxReasonBytes) + " bytes");
    return 0;
  }
  if (line_end == end || (*line_end == '\r' && line_end + 1 == end)) return 0;
  if (*line_end != '\r' || line_end[1] != '\n') {
    refuse(*line_end == '\n' ? "the status line ends in a bare LF" : "the status line is malformed");
    return 0;
  }
  if (line_end > reason) head_.reason = {reason, static_cast<std::size_t>(line_end - reason)};
  return static_cast<std::size_t>(line_end - bytes_.data()) + 2;
}

bool AnswerReader::take_field(const FieldView& field, FieldKind kind) {
  const std::string_view value = field.value;
  switch (kind) {
    case FieldKind::content_length: return take_length(value);
    case FieldKind::transfer_encoding: return take_encoding(value);
    case FieldKind::connection: return words_.add(value) || refuse("Connection has too many options");
    case FieldKind::underscored:
      return !disguises_framing(field.name) || refuse("header field '" + std::string(field.name) + "' is not allowed");
    case FieldKind::content_type: return take_type(value), true;
    case FieldKind::content_encoding: return take_first(head_.content_encoding, value), true;
    case FieldKind::retry_after: return take_first(head_.retry_after, value), true;
    case FieldKind::upgrade: return take_first(head_.upgrade, value), true;
    case FieldKind::authorization:
    case FieldKind::expect:
    case FieldKind::forwarded:
    case FieldKind::forwarded_for:
    case FieldKind::forwarded_host:
    case FieldKind::forwarded_proto:
    case FieldKind::hop_by_hop:
    case FieldKind::host:
    case FieldKind::other:
    case FieldKind::request_id:
    case FieldKind::route:
    case FieldKind::traceparent:
    case FieldKind::tracestate:
    case FieldKind::user_agent:
    case FieldKind::via: return true;
  }
  return true;
}

bool AnswerReader::take_length(std::string_view value) {
  std::uint64_t length = 0;
  const std::string_view problem = read_content_length(value, length);
  if (!problem.empty()) return refuse(problem);
  if (head_.has_content_length && length != head_.content_length) {
    return refuse("Content-Length is given twice with different values");
  }
  head_.has_content_length = true;
  head_.content_length = length;
  return true;
}

bool AnswerReader::take_encoding(std::string_view value) {
  if (chunked_) return refuse("Transfer-Encoding is given twice");
  if (head_.version == 10) return refuse("Transfer-Encoding is not allowed in HTTP/1.0");
  chunked_ = equal_ignoring_case(value, "chunked");
  return chunked_ || refuse("Transfer-Encoding is not exactly 'chunked'");
}

void AnswerReader::take_type(std::string_view value) {
  if (typed_) return;
  typed_ = true;
  const std::string_view type = trim_blanks(value.substr(0, value.find(';')));
  constexpr std::string_view kSuffix = "+json";
  head_.event_stream = equal_ignoring_case(type, "text/event-stream");
  head_.json =
      equal_ignoring_case(type, "application/json") ||
      (type.size() > kSuffix.size() && equal_ignoring_case(type.substr(type.size() - kSuffix.size()), kSuffix));
}

bool AnswerReader::finish() {
  if (chunked_ && head_.has_content_length) {
    return refuse("Content-Length and Transfer-Encoding together are not allowed");
  }
  if (head_.status == 101 && (!upgrade_asked_ || head_.version == 10)) return refuse("101 was not asked for");
  head_.connection_option_count = words_.count;
  head_.keep_alive = !words_.close && (head_.version == 11 || words_.keep_alive) && head_.status != 101;
  decide_framing();
  return true;
}

/// RFC 9112 section 6.3.
void AnswerReader::decide_framing() {
  if (head_.status < 200 || head_.status == 204) {
    // It says that there is a body where none may be: what follows on this connection is anyone's guess.
    if (chunked_ || head_.content_length > 0) head_.keep_alive = false;
  } else if (method_ != "HEAD" && head_.status != 304) {
    head_.framing = chunked_                   ? BodyFraming::chunked
                    : head_.has_content_length ? BodyFraming::length
                                               : BodyFraming::until_close;
    if (head_.framing == BodyFraming::until_close) head_.keep_alive = false;
  }
}

}  // namespace

ResponseReading read_response_head(std::string_view buffer, std::size_t scanned, std::string_view request_method,
                                   bool upgrade_asked, const RequestHeadLimits& limits, ResponseHead& head) {
  const std::size_t longest_line = kLinePattern.size() + 1 + kMaxReasonBytes + 2;
  if (buffer.size() < limits.head_bytes && !worth_reading(buffer, scanned, longest_line)) return {};
  return AnswerReader(buffer, request_method, upgrade_asked, limits, head).read();
}

}  // namespace svc::router
