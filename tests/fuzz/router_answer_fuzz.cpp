// An upstream's head as bytes, through the router's reader and out again as it goes to the client. The first byte: in
// pieces of how many bytes the rest arrives (low five bits; 0 = at once); then whether HEAD was asked, and an upgrade.
#include <algorithm>
#include <string>

#include "common/core/header_rules.hpp"
#include "router/core/http1/forward_head.hpp"
#include "router/core/http1/response_head.hpp"
#include "tests/fuzz/fuzz_check.hpp"

namespace {

using namespace svc;
using namespace svc::router;
using fuzz::require;

std::size_t count(const ResponseHead& head, std::string_view name) {
  const auto fields = head.fields();
  return static_cast<std::size_t>(std::count_if(
      fields.begin(), fields.end(), [name](const FieldView& field) { return equal_ignoring_case(field.name, name); }));
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

void check_accepted(const ResponseHead& head, std::string_view method, bool upgrade_asked) {
  require(head.status >= 100 && head.status <= 599, "a status is from 100 to 599");
  require(head.status != 101 || upgrade_asked, "101 only when it was asked for");
  require(std::none_of(head.reason.begin(), head.reason.end(), is_control), "no control characters in the reason");
  for (const FieldView& field : head.fields()) {
    require(is_token(field.name), "a field name is a token");
    require(std::none_of(field.value.begin(), field.value.end(), is_control), "no control characters in a value");
  }
  const std::size_t encodings = count(head, "transfer-encoding");
  require(encodings == 0 || (!head.has_content_length && head.version == 11 && encodings == 1),
          "one statement about the length of the body");
  require(head.has_content_length == (count(head, "content-length") > 0), "a length when there is one");
  const bool bodiless = head.status < 200 || head.status == 204 || head.status == 304 || method == "HEAD";
  require(bodiless == (head.framing == BodyFraming::none), "a body where there may be one");
  require(head.framing != BodyFraming::chunked || encodings == 1, "chunked when it says so");
  require(head.framing != BodyFraming::length || head.has_content_length, "a length when it says so");
  require(head.framing != BodyFraming::until_close || !head.keep_alive, "closed at the body's end");
}

void check_forwarded(const ResponseHead& head, std::string_view method, bool upgrade_asked) {
  AnswerContext context;
  context.request_id = "id";
  context.framing = head.framing;
  context.keep_upgrade = upgrade_asked;
  std::string out;
  append_answer_head(out, head, context);
  RequestHeadLimits wide;
  wide.head_bytes += 1024;
  wide.fields.max_fields = RequestHead::kMaxFields;
  wide.fields.max_total_bytes += 1024;
  ResponseHead again;
  const ResponseReading reading = read_response_head(out, 0, method, upgrade_asked, wide, again);
  require(reading.state == HeadState::complete && reading.bytes == out.size(), "what is written is one whole head");
  check_accepted(again, method, upgrade_asked);
  require(again.status == head.status && again.framing == head.framing, "status and framing stay");
  require(head.framing != BodyFraming::length || again.content_length == head.content_length, "the length stays");
  require(again.connection_option_count == (head.status == 101 ? 1U : 0U), "no options but ours");
  require(count(again, "x-request-id") == 1 && count(again, "keep-alive") == 0, "nothing hop by hop");
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = data[0] & 31U;
  const std::string_view method = (data[0] & 0x20U) != 0 ? "HEAD" : "GET";
  const bool upgrade_asked = (data[0] & 0x40U) != 0;
  const std::string input = fuzz::text_of(data + 1, size - 1);
  const RequestHeadLimits limits;
  ResponseHead head;
  const ResponseReading whole = read_response_head(input, 0, method, upgrade_asked, limits, head);
  if (whole.state == HeadState::refused) fuzz::require_printable(whole.problem);
  if (whole.state == HeadState::complete) {
    check_accepted(head, method, upgrade_asked);
    check_forwarded(head, method, upgrade_asked);
  }
  if (piece == 0) return 0;
  ResponseHead other;
  ResponseReading pieces;
  for (std::size_t scanned = 0; scanned < input.size() && pieces.state == HeadState::incomplete;) {
    const auto buffer = std::string_view(input).substr(0, scanned + piece);
    pieces = read_response_head(buffer, scanned, method, upgrade_asked, limits, other);
    scanned = buffer.size();
  }
  require((pieces.state == HeadState::complete) == (whole.state == HeadState::complete),
          "pieces are accepted as the whole is");
  require(pieces.state != HeadState::refused || whole.state == HeadState::refused, "and refused as the whole is");
  require(pieces.bytes == whole.bytes && other.framing == head.framing, "pieces mean the same as the whole");
  return 0;
}
