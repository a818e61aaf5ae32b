// A request as bytes, through the server's RequestReader, then route and query. The first byte says in pieces of how
// many bytes the rest arrives (low five bits; 0 = at once) and how large the head may be (top bits).
#include <algorithm>
#include <optional>
#include <vector>

#include "common/core/header_rules.hpp"
#include "common/core/percent_codec.hpp"
#include "common/core/query_string.hpp"
#include "common/io/request_reader.hpp"
#include "common/io/route_table.hpp"
#include "registry/core/query.hpp"
#include "tests/fuzz/fuzz_check.hpp"

namespace {

using namespace svc;
using fuzz::require;
using Routes = RouteTable<std::size_t>;  // the handler is the body limit

constexpr std::size_t kNoRouteLimit = 4096;

struct Verdict {
  enum class Kind { incomplete, refused, accepted };
  Kind kind = Kind::incomplete;
  std::string method, target, body;
  std::vector<std::string> params;
  std::size_t used = 0;
  bool chunked = false;

  bool operator==(const Verdict&) const = default;
};

const Routes& routes() {
  static const Routes table = [] {
    Routes made;
    made.add("GET", "/", 0);
    made.add("GET", "/health", 0);
    made.add("GET", "/services", 0);
    made.add("POST", "/services", 256);
    made.add("GET", "/services/{name}", 0);
    made.add("PUT", "/services/{name}", 1024);
    made.add("DELETE", "/services/{name}", 0);
    made.add("GET", "/services/{name}/health", 0);
    made.add("POST", "/services/{name}/heartbeat", 16);
    return made;
  }();
  return table;
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

void check_accepted_head(const HeadView& head) {
  std::size_t hosts = 0;
  std::size_t lengths = 0;
  std::size_t encodings = 0;
  for (const FieldView& field : head.fields) {
    require(is_token(field.name), "a field name is a token");
    require(std::none_of(field.value.begin(), field.value.end(), is_control), "no control characters in a value");
    hosts += equal_ignoring_case(field.name, "host") ? 1U : 0U;
    lengths += equal_ignoring_case(field.name, "content-length") ? 1U : 0U;
    encodings += equal_ignoring_case(field.name, "transfer-encoding") ? 1U : 0U;
  }
  require(lengths + encodings <= 1, "one statement about the length of the body");
  require(encodings == 0 || head.version == 11, "no Transfer-Encoding on HTTP/1.0");
  require(head.version == 11 ? hosts == 1 : hosts <= 1, "one Host on HTTP/1.1");
  require(head.target == "*" || head.target.starts_with('/'), "the target is a path");
  require(std::none_of(head.target.begin(), head.target.end(),
                       [](char c) { return is_control(c) || c == ' ' || c == '\t' || c == '#'; }),
          "nothing in the target that splits it");
}

void check_query(std::string_view raw) {
  const QueryString query(raw);
  const auto request = registry::parse_list_request(query);
  if (!request) {
    fuzz::require_printable(request.error().to_string());
    return;
  }
  require(request->watch.wait >= Duration::zero() && request->watch.wait <= registry::kMaxWait, "a wait is capped");
  require(*request == *registry::parse_list_request(query), "a query means one thing");
}

/// Returns the body limit.
std::size_t judge(const HeadView& head, Verdict& verdict) {
  check_accepted_head(head);
  verdict.method = head.method;
  verdict.target = head.target;
  const auto question = head.target.find('?');
  check_query(question == std::string_view::npos ? "" : head.target.substr(question + 1));
  auto match = routes().find(head.method, head.target.substr(0, question));
  require(!match.route || match.allow.empty(), "found, or not allowed, or neither");
  for (const auto& param : match.params) {
    require(!param.empty() && param.find('\0') == std::string::npos, "a parameter is not empty and has no NUL");
    require(percent_decode(percent_encode(param)) == param, "what was decoded can be encoded again");
  }
  verdict.params = std::move(match.params);
  return match.route && !match.bad_encoding ? match.route->handler : kNoRouteLimit;
}

class Session {
 public:
  using Step = RequestReader::Step;

  Session(std::string_view input, std::size_t piece, std::size_t head_limit) : input_(input), piece_(piece) {
    reader_.begin();
    reader_.limit_head(head_limit);
  }

  Verdict run() {
    Step step = Step::more;
    while (step == Step::more) {
      if (!receive()) return verdict_;
      step = reader_.read_head();
    }
    if (step == Step::refused) return refused();
    check_lines(reader_.raw_head());
    verdict_.chunked = reader_.chunked();
    const std::size_t limit = judge(reader_.head(), verdict_);
    step = reader_.start_body(limit);
    while (step == Step::more) {
      if (!receive()) return verdict_;
      step = reader_.read_body();
    }
    if (step == Step::refused) return refused();
    verdict_.kind = Verdict::Kind::accepted;
    verdict_.body = reader_.body();
    verdict_.used = received_ - reader_.unread();
    require(verdict_.body.size() <= limit, "a body is within its limit");
    check_length();
    return verdict_;
  }

 private:
  bool receive() {
    const auto next = input_.substr(received_, piece_);
    reader_.receive(next);
    received_ += next.size();
    return !next.empty();
  }

  /// RFC 9112 section 2.2: what a lenient reader would take for one more line is none.
  static void check_lines(std::string_view raw) {
    require(raw.ends_with("\r\n\r\n"), "a head ends in an empty line");
    for (std::size_t i = 0; i < raw.size(); ++i) {
      require(raw[i] != '\n' || (i > 0 && raw[i - 1] == '\r'), "no bare LF in a head");
      require(raw[i] != '\r' || (i + 1 < raw.size() && raw[i + 1] == '\n'), "no bare CR in a head");
      require(raw[i] != '\0', "no NUL in a head");
    }
  }

  void check_length() const {
    for (const FieldView& field : reader_.head().fields) {
      if (!equal_ignoring_case(field.name, "content-length")) continue;
      require(verdict_.body.size() == std::stoull(std::string(field.value)),
              "a body has the length that was announced");
    }
  }

  Verdict refused() const {
    const auto& problem = reader_.problem();
    fuzz::require_printable(problem.message);
    require(problem.status >= 400 && problem.status <= 505, "a refusal is an error");
    Verdict verdict;
    verdict.kind = Verdict::Kind::refused;
    return verdict;
  }

  std::string_view input_;
  std::size_t piece_;
  std::size_t received_ = 0;
  RequestReader reader_;
  Verdict verdict_;
};

/// RFC 9112 section 7.1 by hand, over the bytes that Beast took for one request: same body, and no line that ends in
/// anything but CRLF.
void check_chunks(std::string_view bytes, const std::string& body) {
  const auto head_end = bytes.find("\r\n\r\n");
  require(head_end != std::string_view::npos, "a head ends in an empty line");
  bytes.remove_prefix(head_end + 4);
  std::string read;
  for (std::size_t size = 1; size != 0;) {
    const auto end = bytes.find("\r\n");
    require(end != std::string_view::npos, "a chunk's line ends in CRLF");
    const auto line = bytes.substr(0, end);
    require(line.find('\n') == std::string_view::npos && line.find('\r') == std::string_view::npos, "no bare CR or LF");
    const auto digits = std::min(line.find_first_not_of("0123456789abcdefABCDEF"), line.size());
    require(digits > 0 && digits <= 16, "a chunk's size is hex digits");
    size = std::stoull(std::string(line.substr(0, digits)), nullptr, 16);
    bytes.remove_prefix(end + 2);
    require(size <= bytes.size(), "a chunk is whole");
    read.append(bytes.substr(0, size));
    bytes.remove_prefix(size);
    if (size > 0) {
      require(bytes.starts_with("\r\n"), "a chunk ends in CRLF");
      bytes.remove_prefix(2);
    }
  }
  require(read == body, "the chunks make the body");
  require(bytes.ends_with("\r\n"), "the trailer ends in CRLF");
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  constexpr std::size_t kHeaderLimits[] = {16 * 1024, 16 * 1024, 64, 256, 16 * 1024, 16 * 1024, 1024, 16 * 1024};
  const std::size_t header_limit = kHeaderLimits[data[0] >> 5U];
  const std::size_t piece = data[0] & 31U;
  const std::string input = fuzz::text_of(data + 1, size - 1);
  if (input.empty()) return 0;
  const Verdict whole = Session(input, input.size(), header_limit).run();
  if (whole.kind == Verdict::Kind::accepted && whole.chunked) {
    check_chunks(std::string_view(input).substr(0, whole.used), whole.body);
  }
  if (piece > 0) {
    const Verdict pieces = Session(input, piece, header_limit).run();
    // A bad line that comes in pieces may be noticed at the end of the head only: until then it is incomplete.
    const bool neither = pieces.kind != Verdict::Kind::accepted && whole.kind != Verdict::Kind::accepted;
    require(neither || pieces == whole, "pieces mean the same as the whole");
  }
  return 0;
}
