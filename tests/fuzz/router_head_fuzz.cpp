// A request head as bytes, through the router's reader and out again as it goes to the upstream. The first byte says
// in pieces of how many bytes the rest arrives (low five bits; 0 = at once); the top bit, whether the client's proxy
// is trusted.
#include <algorithm>
#include <string>

#include "common/core/header_rules.hpp"
#include "router/core/http1/forward_head.hpp"
#include "router/core/http1/request_head.hpp"
#include "tests/fuzz/fuzz_check.hpp"

namespace {

using namespace svc;
using namespace svc::router;
using fuzz::require;

constexpr std::string_view kPseudonym = "infinilm-router-1";

std::size_t count(const RequestHead& head, std::string_view name) {
  const auto fields = head.fields();
  return static_cast<std::size_t>(std::count_if(
      fields.begin(), fields.end(), [name](const FieldView& field) { return equal_ignoring_case(field.name, name); }));
}

/// RFC 9112 section 2.2: what a lenient reader would take for one more line is none.
void check_lines(std::string_view raw) {
  require(raw.ends_with("\r\n\r\n"), "a head ends in an empty line");
  for (std::size_t i = 0; i < raw.size(); ++i) {
    require(raw[i] != '\n' || (i > 0 && raw[i - 1] == '\r'), "no bare LF in a head");
    require(raw[i] != '\r' || (i + 1 < raw.size() && raw[i + 1] == '\n'), "no bare CR in a head");
    require(raw[i] != '\0', "no NUL in a head");
  }
  const auto start = std::min(raw.find_first_not_of("\r\n"), raw.size());
  require(raw.find("\r\n\r\n", start) == raw.size() - 4, "the first empty line ends a head");
}

void check_accepted(std::string_view raw, const RequestHead& head, const RequestHeadLimits& limits) {
  check_lines(raw);
  require(raw.size() <= limits.head_bytes + 4, "a head is within its limit");
  const HeadView view{head.method, head.target, head.version, head.fields()};
  require(!check_head(view, limits.fields), "what is accepted here is accepted by check_head");
  const std::string_view length = head.field("content-length");
  require(head.content_length.has_value() == (count(head, "content-length") == 1), "a length when there is one");
  require(!head.content_length || *head.content_length == std::stoull(std::string(length)),
          "the length as it was said");
  require(head.chunked == (count(head, "transfer-encoding") == 1), "chunked when it says so");
  require(!(head.chunked && head.content_length), "one statement about the length of the body");
  require(head.path == head.target.substr(0, head.target.find('?')), "the path is the target's");
  require(!head.wants_upgrade || !head.has_body(), "no upgrade with a body");
}

void check_forwarded(const RequestHead& head, bool trusted) {
  ForwardContext context;
  context.upstream_host = "10.0.0.1:5001";
  context.client_address = "192.0.2.1";
  context.trust_forwarded = trusted;
  context.request_id = "id";
  context.traceparent = head.traceparent;
  context.via = kPseudonym;
  if (head.has_body()) context.body_bytes = head.content_length.value_or(7);
  context.keep_upgrade = head.wants_upgrade;
  std::string out;
  append_request_head(out, head, context);

  RequestHeadLimits wide;  // ours come on top of what the client may send
  wide.head_bytes += 64 * 1024;
  wide.fields = {RequestHead::kMaxFields, 64 * 1024, 64 * 1024, 128 * 1024};
  RequestHead again;
  const HeadReading reading = read_request_head(out, 0, wide, again);
  require(reading.state == HeadState::complete && reading.bytes == out.size(), "what is written is one whole head");
  check_accepted(out, again, wide);
  require(again.method == head.method && again.target == head.target, "method and target stay");
  require(again.host == context.upstream_host, "Host is the upstream's");
  require(!again.chunked && again.content_length == context.body_bytes, "the framing is ours");
  require(again.wants_upgrade == context.keep_upgrade, "an upgrade only if it is to be kept");
  require(again.connection_option_count == (context.keep_upgrade ? 1U : 0U), "no options but ours");
  require(count(again, "x-forwarded-for") == 1, "one X-Forwarded-For");
  require(again.forwarded_for.ends_with(context.client_address), "it ends in the client's address");
  require(trusted || again.forwarded_for == context.client_address, "and is ours alone");
  require(again.request_id == "id" && count(again, "x-request-id") == 1, "one id, ours");
  require(came_through(again, kPseudonym) && count(again, "via") == 1, "one Via, which names us");
  require(count(again, "expect") + count(again, "te") + count(again, "keep-alive") == 0, "nothing hop by hop");
  for (const FieldView& field : again.fields()) {
    require(field.name.find('_') == std::string_view::npos, "no name that could be taken for another");
  }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = data[0] & 31U;
  const std::string input = fuzz::text_of(data + 1, size - 1);
  const RequestHeadLimits limits;
  RequestHead head;
  const HeadReading whole = read_request_head(input, 0, limits, head);
  if (whole.state == HeadState::refused) {
    fuzz::require_printable(whole.refusal.message);
    require(whole.refusal.status >= 400 && whole.refusal.status <= 505, "a refusal is an error");
  }
  if (whole.state == HeadState::complete) {
    check_accepted(std::string_view(input).substr(0, whole.bytes), head, limits);
    check_forwarded(head, (data[0] & 0x80U) != 0);
  }
  if (piece == 0) return 0;
  RequestHead other;
  HeadReading pieces;
  for (std::size_t scanned = 0; scanned < input.size() && pieces.state == HeadState::incomplete;) {
    const auto buffer = std::string_view(input).substr(0, scanned + piece);
    pieces = read_request_head(buffer, scanned, limits, other);
    scanned = buffer.size();
  }
  require((pieces.state == HeadState::complete) == (whole.state == HeadState::complete),
          "pieces are accepted as the whole is");
  require(pieces.state != HeadState::refused || whole.state == HeadState::refused, "and refused as the whole is");
  require(pieces.bytes == whole.bytes && (whole.state != HeadState::complete || other.target == head.target),
          "pieces mean the same as the whole");
  return 0;
}
