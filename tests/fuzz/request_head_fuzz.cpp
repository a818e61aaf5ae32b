// A request as bytes, read as HttpSession reads it: Beast's parser, check_head, route, query, body. The first byte says
// in pieces of how many bytes the rest arrives (low five bits; 0 = at once) and how large the head may be (top bits).
#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <functional>
#include <vector>

#include "common/core/header_rules.hpp"
#include "common/core/percent_codec.hpp"
#include "common/core/query_string.hpp"
#include "common/core/raw_head.hpp"
#include "common/io/route_table.hpp"
#include "registry/core/query.hpp"
#include "tests/fuzz/fuzz_check.hpp"

namespace {

namespace http = boost::beast::http;
using namespace svc;
using fuzz::require;
using Parser = http::request_parser<http::string_body>;
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

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

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

/// nullopt = refused; else the body limit.
std::optional<std::size_t> judge(const Parser& parser, Verdict& verdict) {
  const auto& message = parser.get();
  std::vector<FieldView> fields;
  for (const auto& field : message) fields.push_back({view(field.name_string()), view(field.value())});
  const HeadView head{view(message.method_string()), view(message.target()), static_cast<int>(message.version()),
                      fields};
  HeadLimits limits;
  limits.max_total_bytes = 16 * 1024;
  if (const auto refusal = check_head(head, limits)) {
    fuzz::require_printable(refusal->message);
    require(refusal->status >= 400 && refusal->status <= 505, "a refusal is an error");
    return std::nullopt;
  }
  check_accepted_head(head);
  verdict.method = head.method;
  verdict.target = head.target;
  verdict.chunked = parser.chunked();
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
  Session(std::string_view input, std::size_t piece, std::uint32_t header_limit)
      : input_(input), piece_(piece), header_limit_(header_limit) {
    parser_.header_limit(header_limit);
    parser_.body_limit(boost::none);
    parser_.eager(false);
    parser_.on_chunk_header(on_chunk_);
  }

  Verdict run() {
    while (!parser_.is_header_done()) {
      if (!receive()) return verdict_;
      if (!put()) return refused();
      // Beast's own limit is for what is in the buffer: fields that arrived whole have left it.
      if (raw_.size() + (parser_.is_header_done() ? 0 : in_.size()) > header_limit_) return refused();
    }
    in_head_ = false;
    require(raw_.ends_with("\r\n\r\n"), "a head ends in an empty line");
    if (has_folded_line(raw_)) return refused();
    check_lines();
    const auto limit = judge(parser_, verdict_);
    if (!limit) return refused();
    const auto length = parser_.content_length();
    if (length && *length > *limit) return refused();
    parser_.body_limit(*limit);
    parser_.eager(true);
    // An unfinished chunked body has at least "0\r\n\r\n" to come; with less Beast trips over an assertion of its own.
    const std::size_t least = parser_.chunked() ? 5 : 1;
    while (!parser_.is_done()) {
      const std::size_t before = in_.size();
      if (in_.size() >= least && !put()) return refused();
      const bool moved = !stalled_ && in_.size() < before;
      if (!parser_.is_done() && (in_.size() < least || !moved) && !receive()) return verdict_;
    }
    verdict_.kind = Verdict::Kind::accepted;
    verdict_.body = parser_.get().body();
    verdict_.used = received_ - in_.size();
    require(verdict_.body.size() <= *limit, "a body is within its limit");
    require(!length || verdict_.body.size() == *length, "a body has the length that was announced");
    return verdict_;
  }

 private:
  bool receive() {
    const auto next = input_.substr(received_, piece_);
    in_.append(next);
    received_ += next.size();
    return !next.empty();
  }

  bool put() {
    boost::system::error_code ec;
    const std::size_t used = parser_.put(boost::asio::const_buffer(in_.data(), in_.size()), ec);
    require(used <= in_.size(), "the parser uses what is there");
    if (ec == http::error::bad_version) static_cast<void>(names_http_version(in_));
    if (in_head_) raw_.append(in_, 0, used);
    in_.erase(0, used);
    stalled_ = ec == http::error::need_more;
    return !ec || stalled_;
  }

  /// RFC 9112 section 2.2: what a lenient reader would take for one more line is none.
  void check_lines() const {
    for (std::size_t i = 0; i < raw_.size(); ++i) {
      require(raw_[i] != '\n' || (i > 0 && raw_[i - 1] == '\r'), "no bare LF in a head");
      require(raw_[i] != '\r' || (i + 1 < raw_.size() && raw_[i + 1] == '\n'), "no bare CR in a head");
      require(raw_[i] != '\0', "no NUL in a head");
    }
  }

  static Verdict refused() {
    Verdict verdict;
    verdict.kind = Verdict::Kind::refused;
    return verdict;
  }

  std::string_view input_;
  std::size_t piece_;
  std::size_t header_limit_;
  std::size_t received_ = 0;
  bool stalled_ = false;
  bool in_head_ = true;
  std::string in_;
  std::string raw_;  ///< the head as it came
  std::function<void(std::uint64_t, boost::beast::string_view, boost::system::error_code&)> on_chunk_ =
      [](std::uint64_t, boost::beast::string_view extension, boost::system::error_code& ec) {
        if (!allowed_chunk_extension(view(extension))) ec = http::error::bad_chunk_extension;
      };
  Parser parser_;
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
  constexpr std::uint32_t kHeaderLimits[] = {16 * 1024, 16 * 1024, 64, 256, 16 * 1024, 16 * 1024, 1024, 16 * 1024};
  const std::uint32_t header_limit = kHeaderLimits[data[0] >> 5U];
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
