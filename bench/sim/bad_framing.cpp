#include "bench/sim/bad_framing.hpp"

#include <iterator>

namespace svc::sim {
namespace {

using namespace std::string_view_literals;

#define OK "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define LENGTH "Content-Length: %\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"

// The bodies of chunked ones are spelled out, since sizes are part of what is wrong.
constexpr BadFraming kFramings[] = {
    // Lengths.
    {"cl_short", OK "Content-Length: 5\r\n\r\n", "%"},
    {"cl_long", OK "Content-Length: 99999\r\n\r\n", "%"},
    {"cl_double", OK LENGTH "Content-Length: 5\r\n\r\n", "%"},
    {"cl_double_equal", OK LENGTH LENGTH "\r\n", "%"},
    {"cl_list", OK "Content-Length: %, %\r\n\r\n", "%"},
    {"cl_negative", OK "Content-Length: -1\r\n\r\n", "%"},
    {"cl_plus", OK "Content-Length: +%\r\n\r\n", "%"},
    {"cl_hex", OK "Content-Length: 0x10\r\n\r\n", "%"},
    {"cl_overflow", OK "Content-Length: 18446744073709551617\r\n\r\n", "%"},
    {"cl_empty", OK "Content-Length:\r\n\r\n", "%"},
    {"cl_and_te", OK LENGTH CHUNKED "\r\n", "2\r\n{}\r\n0\r\n\r\n"},
    {"no_length", OK "\r\n", "%"},  // ends with the connection: valid, but nobody can tell a cut one
    {"body_after_204", "HTTP/1.1 204 No Content\r\n" LENGTH "\r\n", "%"},
    {"body_after_304", "HTTP/1.1 304 Not Modified\r\n\r\n", "%"},
    // Chunks.
    {"chunk_negative", OK CHUNKED "\r\n", "-2\r\n{}\r\n0\r\n\r\n"},
    {"chunk_overflow", OK CHUNKED "\r\n", "10000000000000002\r\n{}\r\n0\r\n\r\n"},
    {"chunk_huge", OK CHUNKED "\r\n", "7fffffffffffffff\r\n{}\r\n"},
    {"chunk_not_hex", OK CHUNKED "\r\n", "zz\r\n{}\r\n0\r\n\r\n"},
    {"chunk_0x", OK CHUNKED "\r\n", "0x2\r\n{}\r\n0\r\n\r\n"},
    {"chunk_empty_size", OK CHUNKED "\r\n", "\r\n{}\r\n0\r\n\r\n"},
    {"chunk_blank_size", OK CHUNKED "\r\n", " 2\r\n{}\r\n0\r\n\r\n"},
    {"chunk_bare_lf", OK CHUNKED "\r\n", "2\n{}\n0\n\n"},
    {"chunk_no_crlf", OK CHUNKED "\r\n", "2\r\n{}XX0\r\n\r\n"},
    {"chunk_short", OK CHUNKED "\r\n", "9\r\n{}\r\n0\r\n\r\n"},
    {"chunk_no_end", OK CHUNKED "\r\n", "2\r\n{}\r\n"},
    {"chunk_ext_lf", OK CHUNKED "\r\n", "2;a=\"\n\"\r\n{}\r\n0\r\n\r\n"},
    {"chunk_ext_endless", OK CHUNKED "\r\n", "2;~\r\n{}\r\n0\r\n\r\n"},
    {"te_unknown", OK "Transfer-Encoding: gzip\r\n\r\n", "%"},
    {"te_twice", OK CHUNKED CHUNKED "\r\n", "2\r\n{}\r\n0\r\n\r\n"},
    {"te_not_last", OK "Transfer-Encoding: chunked, identity\r\n\r\n", "2\r\n{}\r\n0\r\n\r\n"},
    {"te_in_10", "HTTP/1.0 200 OK\r\n" CHUNKED "\r\n", "2\r\n{}\r\n0\r\n\r\n"},
    // Trailers: valid; they must not become fields of the head.
    {"trailers", OK CHUNKED "Trailer: X-Late\r\n\r\n", "2\r\n{}\r\n0\r\nX-Late: 1\r\nContent-Length: 5\r\n\r\n", false},
    {"trailer_bad", OK CHUNKED "\r\n", "2\r\n{}\r\n0\r\nno field\r\n\r\n"},
    {"trailer_endless", OK CHUNKED "\r\n", "2\r\n{}\r\n0\r\nX-Late: ~\r\n\r\n"},
    // Heads.
    {"bare_lf", "HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Length: %\n\n", "%"},
    {"bare_cr", "HTTP/1.1 200 OK\r\nX-A: b\rX-C: d\r\n" LENGTH "\r\n", "%"},
    {"garbage", "this is no HTTP at all\r\n\r\n", ""},
    {"garbage_status", "HTTP/1.1 abc Fine\r\n" LENGTH "\r\n", "%"},
    {"status_4_digits", "HTTP/1.1 2000 OK\r\n" LENGTH "\r\n", "%"},
    {"status_099", "HTTP/1.1 099 Low\r\n" LENGTH "\r\n", "%"},
    {"bad_version", "HTTP/3.7 200 OK\r\n" LENGTH "\r\n", "%"},
    {"http09", "", "%"},
    {"nul_in_header", "HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: %\r\n\r\n"sv, "%"},
    {"control_in_header",
     "HTTP/1.1 200 OK\r\nX-A: a\x01"
     "b\r\nContent-Length: %\r\n\r\n",
     "%"},
    {"name_with_blank", "HTTP/1.1 200 OK\r\nX-A : b\r\n" LENGTH "\r\n", "%"},
    {"name_empty", "HTTP/1.1 200 OK\r\n: b\r\n" LENGTH "\r\n", "%"},
    {"no_colon", "HTTP/1.1 200 OK\r\nno colon here\r\n" LENGTH "\r\n", "%"},
    {"folded", "HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\n" LENGTH "\r\n", "%"},
    {"huge_header", "HTTP/1.1 200 OK\r\nX-A: ~\r\n" LENGTH "\r\n", "%"},
    {"head_cut", "HTTP/1.1 200 OK\r\nContent-Ty", ""},
    {"nothing", "", ""},
    // One request, not one answer.
    {"two_answers", OK LENGTH "\r\n", "%HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"b\":\"2\"}", false},
    {"switching", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
     "\x81\x02hi"},
    {"interim", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" OK LENGTH "\r\n", "%", false},
    {"interim_flood", "#" OK LENGTH "\r\n", "%"},
    {"early_answer", OK LENGTH "\r\n", "%", false},
    {"early_close", "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n" LENGTH "\r\n", "%"},
};

void replace(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
}

}  // namespace

const BadFraming* find_framing(std::string_view name) {
  for (const BadFraming& framing : kFramings) {
    if (framing.name == name) return &framing;
  }
  return nullptr;
}

std::string framing_names() {
  std::string names;
  for (const BadFraming& framing : kFramings) names.append(names.empty() ? "" : ", ").append(framing.name);
  return names;
}

std::string render(const BadFraming& framing, std::string_view json) {
  constexpr std::size_t kEndless = 1U << 20U;
  std::string body(framing.body);
  replace(body, "%", json);
  std::string head(framing.head);
  replace(head, "%", std::to_string(json.size()));
  std::string interim;
  for (int i = 0; i < 1000; ++i) interim += "HTTP/1.1 100 Continue\r\n\r\n";
  replace(head, "#", interim);
  std::string out = head + body;
  replace(out, "~", std::string(kEndless, 'x'));
  return out;
}

}  // namespace svc::sim
