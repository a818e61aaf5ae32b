#include "router/core/http1/request_head.hpp"

#include <algorithm>

#include "common/core/ascii.hpp"
#include "common/core/raw_head.hpp"
#include "router/core/http1/byte_scan.hpp"
#include "router/core/http1/field_scan.hpp"

namespace svc::router {
namespace {

constexpr std::size_t kMaxMethodBytes = 64;
constexpr std::string_view kVersionPattern = "HTTP/d.d\r\n";
constexpr std::string_view kNotHttp = "malformed request: the request line is not METHOD TARGET HTTP/1.1";

/// Without touching the storage, which is 4 KiB.
void clear(RequestHead& head) {
  head.method = head.target = head.path = head.query = {};
  head.version = 11;
  head.field_count = 0;
  head.host = head.upgrade = head.content_type = head.authorization = head.forwarded_for = head.forwarded_proto =
      head.forwarded_host = head.request_id = head.traceparent = head.tracestate = head.via = head.user_agent = {};
  head.content_length.reset();
  head.chunked = head.expect_continue = head.wants_upgrade = head.more_forwarded_for = false;
  head.keep_alive = true;
  head.connection_option_count = 0;
}

class RequestReader {
 public:
  RequestReader(std::string_view buffer, const RequestHeadLimits& limits, RequestHead& head)
      : bytes_(buffer), limits_(limits), head_(head) {}

  HeadReading read() {
    clear(head_);
    const std::size_t blank = skip_blank_lines();
    clipped_ = bytes_.size() >= limits_.head_bytes;
    bytes_ = bytes_.substr(0, limits_.head_bytes);
    const std::size_t line = read_request_line();
    if (line == 0) return done_early();
    FieldScan scan(bytes_.substr(line), head_.field_storage, head_.kind_storage, limits_.fields, "request");
    auto step = FieldScan::Step::incomplete;
    while ((step = scan.next()) == FieldScan::Step::field) {
      if (!take_field(scan.field(), scan.kind())) return std::move(reading_);
    }
    if (step == FieldScan::Step::refused) {
      refuse(scan.refusal().status, std::move(scan.refusal().message));
    }
    if (step != FieldScan::Step::end) return done_early();
    head_.field_count = scan.count();
    if (finish()) {
      reading_.state = HeadState::complete;
      reading_.bytes = blank + line + scan.used();
    }
    return std::move(reading_);
  }

 private:
  bool refuse(int status, std::string message) {
    reading_.state = HeadState::refused;
    reading_.refusal = {status, std::move(message)};
    return false;
  }
  bool refuse(std::string_view message) { return refuse(400, std::string(message)); }
  bool refuse_if(std::string_view problem) { return problem.empty() || refuse(problem); }

  HeadReading done_early() {
    if (reading_.state == HeadState::incomplete && clipped_) {
      refuse(431, "the request head is larger than " + std::to_string(limits_.head_bytes) + " bytes");
    }
    return std::move(reading_);
  }

  /// RFC 9112 section 2.2.
  std::size_t skip_blank_lines() {
    std::size_t skipped = 0;
    while (skipped < 4 && bytes_.starts_with("\r\n")) {
      bytes_.remove_prefix(2);
      skipped += 2;
    }
    return skipped;
  }

  std::size_t read_request_line();
  bool read_target(std::string_view target);
  bool read_version(std::string_view rest);
  bool take_field(const FieldView& field, FieldKind kind);
  bool take_host(std::string_view value);
  bool take_length(std::string_view value);
  bool take_encoding(std::string_view value);
  bool take_expect(std::string_view value);
  bool finish();

  std::string_view bytes_;
  const RequestHeadLimits& limits_;
  RequestHead& head_;
  HeadReading reading_;
  bool clipped_ = false;
  bool encoding_ = false;
  bool two_upgrades_ = false;
  std::string_view authority_;  // of an absolute-form target
  ConnectionWords words_{head_.connection_options};
};

/// Its length with the line end; 0: incomplete or refused.
std::size_t RequestReader::read_request_line() {
  const char* const begin = bytes_.data();
  const char* const end = begin + bytes_.size();
  const char* at = find_end_of<TokenBytes>(begin, end);
  const auto method = static_cast<std::size_t>(at - begin);
  if (method > kMaxMethodBytes) {
    refuse("the method is not valid");
    return 0;
  }
  if (at == end) return 0;
  if (method == 0 || *at != ' ') {
    const bool half_blank_line = method == 0 && bytes_ == "\r";
    if (!half_blank_line) refuse(kNotHttp);  // among them TLS hellos
    return 0;
  }
  head_.method = bytes_.substr(0, method);
  const char* const target = ++at;
  at = find_end_of<TargetBytes>(at, end);
  const auto length = static_cast<std::size_t>(at - target);
  if (length > limits_.fields.max_target_bytes) {
    refuse(414, "the request target is longer than " + std::to_string(limits_.fields.max_target_bytes) + " bytes");
    return 0;
  }
  if (at == end) return 0;
  if (*at != ' ' || length == 0) {
    const bool line_ends = *at == '\r' || *at == '\n';
    refuse(length == 0 || line_ends ? kNotHttp : "the request target has a character that is not allowed");
    return 0;
  }
  const std::string_view rest(at + 1, static_cast<std::size_t>(end - at - 1));
  if (!read_version(rest)) return 0;
  if (!read_target({target, length})) return 0;
  return static_cast<std::size_t>(rest.data() - begin) + kVersionPattern.size();
}

/// False: incomplete or refused.
bool RequestReader::read_version(std::string_view rest) {
  if (rest.starts_with("HTTP/1.1\r\n")) return true;
  for (std::size_t i = 0; i < kVersionPattern.size(); ++i) {
    if (i == rest.size()) return false;
    const bool good = kVersionPattern[i] == 'd' ? is_digit(rest[i]) : rest[i] == kVersionPattern[i];
    if (!good) return refuse(rest[i] == '\n' ? "a line of the header ends in a bare LF" : kNotHttp);
  }
  if (rest[5] != '1' || (rest[7] != '0' && rest[7] != '1')) {
    if (head_.method == "PRI") return refuse("HTTP/2 is not spoken here");
    return refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  }
  head_.version = rest[7] == '1' ? 11 : 10;
  return true;
}

bool RequestReader::read_target(std::string_view target) {
  if (head_.method == "CONNECT") return refuse("CONNECT is not supported");
  head_.target = target;
  if (target.front() != '/' && !(target == "*" && head_.method == "OPTIONS")) {
    head_.target = origin_form(target);
    if (head_.target.empty()) return refuse("the request target must be a path or an http:// URL");
    if (head_.target.front() != '/') return refuse("the request target must start with '/'");
    authority_ = target.substr(target.find("://") + 3);
    authority_ = authority_.substr(0, authority_.find_first_of("/?"));
  }
  const std::size_t question = head_.target.find('?');
  head_.path = head_.target.substr(0, question);
  if (question != std::string_view::npos) head_.query = head_.target.substr(question + 1);
  return true;
}

bool RequestReader::take_field(const FieldView& field, FieldKind kind) {
  const std::string_view value = field.value;
  switch (kind) {
    case FieldKind::host: return take_host(value);
    case FieldKind::content_length: return take_length(value);
    case FieldKind::transfer_encoding: return take_encoding(value);
    case FieldKind::expect: return take_expect(value);
    case FieldKind::connection: return words_.add(value) || refuse("Connection has too many options");
    case FieldKind::underscored:
      if (!disguises_framing(field.name)) return true;
      return refuse("header field '" + std::string(field.name) + "' is not allowed");
    case FieldKind::upgrade:
      two_upgrades_ = head_.upgrade.data() != nullptr;
      take_first(head_.upgrade, value);
      return true;
    case FieldKind::forwarded_for:
      head_.more_forwarded_for = head_.forwarded_for.data() != nullptr;
      take_first(head_.forwarded_for, value);
      return true;
    case FieldKind::authorization: return take_first(head_.authorization, value), true;
    case FieldKind::content_type: return take_first(head_.content_type, value), true;
    case FieldKind::forwarded_host: return take_first(head_.forwarded_host, value), true;
    case FieldKind::forwarded_proto: return take_first(head_.forwarded_proto, value), true;
    case FieldKind::request_id: return take_first(head_.request_id, value), true;
    case FieldKind::traceparent: return take_first(head_.traceparent, value), true;
    case FieldKind::tracestate: return take_first(head_.tracestate, value), true;
    case FieldKind::user_agent: return take_first(head_.user_agent, value), true;
    case FieldKind::via: return take_first(head_.via, value), true;
    case FieldKind::content_encoding:
    case FieldKind::forwarded:
    case FieldKind::hop_by_hop:
    case FieldKind::other:
    case FieldKind::retry_after:
    case FieldKind::route: return true;
  }
  return true;
}

bool RequestReader::take_host(std::string_view value) {
  if (head_.host.data() != nullptr) return refuse("Host is given twice");
  head_.host = value;
  return refuse_if(host_problem(value));
}

bool RequestReader::take_length(std::string_view value) {
  if (head_.content_length) return refuse("Content-Length is given twice");
  return refuse_if(read_content_length(value, head_.content_length.emplace(0)));
}

bool RequestReader::take_encoding(std::string_view value) {
  if (encoding_) return refuse("Transfer-Encoding is given twice");
  encoding_ = true;
  if (head_.version == 10) return refuse("Transfer-Encoding is not allowed in HTTP/1.0");
  head_.chunked = equal_ignoring_case(value, "chunked");
  return head_.chunked || refuse("Transfer-Encoding must be exactly 'chunked'");
}

bool RequestReader::take_expect(std::string_view value) {
  if (!equal_ignoring_case(value, "100-continue")) return refuse(417, "only 'Expect: 100-continue' is supported");
  head_.expect_continue = head_.version == 11;  // RFC 9110 section 10.1.1: an HTTP/1.0 client would not read the 100
  return true;
}

bool RequestReader::finish() {
  if (head_.chunked && head_.content_length) {
    return refuse("Content-Length and Transfer-Encoding together are not allowed");
  }
  if (head_.version == 11 && head_.host.empty()) return refuse("Host is missing");
  if (authority_.data() != nullptr) {
    if (!head_.host.empty() && !equal_ignoring_case(head_.host, authority_)) {
      return refuse("Host and the request target do not name the same server");
    }
    head_.host = authority_;
  }
  head_.connection_option_count = words_.count;
  head_.keep_alive = !words_.close && (head_.version == 11 || words_.keep_alive);
  // Other protocols (h2c) would carry requests past every check that is made here.
  head_.wants_upgrade = words_.upgrade && equal_ignoring_case(head_.upgrade, "websocket") && !two_upgrades_ &&
                        head_.version == 11 && !head_.has_body();
  return true;
}

}  // namespace

std::string_view RequestHead::field(std::string_view name) const {
  const auto all = fields();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [name](const FieldView& one) { return equal_ignoring_case(one.name, name); });
  return found == all.end() ? std::string_view{} : found->value;
}

HeadReading read_request_head(std::string_view buffer, std::size_t scanned, const RequestHeadLimits& limits,
                              RequestHead& head) {
  const std::size_t longest_line = limits.fields.max_target_bytes + kMaxMethodBytes + 2 + kVersionPattern.size();
  if (buffer.size() < limits.head_bytes && !worth_reading(buffer, scanned, longest_line)) return {};
  return RequestReader(buffer, limits, head).read();
}

}  // namespace svc::router
