// Writes the two heads that the router sends: the request's to the upstream, the answer's to the client. Fields are
// copied as they came, in their order, duplicates kept; hop-by-hop fields (RFC 9110 section 7.6.1) and what
// Connection names are left out, and what the router adds is added after that, so that a client cannot have it
// removed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "router/core/http1/request_head.hpp"
#include "router/core/http1/response_head.hpp"

namespace svc::router {

struct ForwardContext {
  std::string_view upstream_host;    ///< Host field: "10.0.0.1:5001"
  std::string_view client_address;   ///< of the connection
  std::string_view scheme = "http";  ///< that the client used with us
  bool trust_forwarded = false;      ///< the connection comes from a trusted proxy: its X-Forwarded-* go on
  std::string_view request_id;
  std::string_view traceparent;             ///< as to be sent; "" = none
  std::string_view via;                     ///< pseudonym of this router: "infinilm-router-1a2b3c4d"
  std::optional<std::uint64_t> body_bytes;  ///< Content-Length to send; nullopt: the request has no body
  std::string_view authorization;           ///< replaces the client's when not empty
  bool drop_authorization = false;          ///< the client's key was for this router: it is not passed on
  bool keep_upgrade = false;                ///< WebSocket: Connection: upgrade and Upgrade are passed on
};

/// Appends "POST /x HTTP/1.1\r\n...\r\n\r\n". Left out: Host, Content-Length, Transfer-Encoding, Expect, hop-by-hop
/// fields, what Connection names (but never X-Forwarded-*, Host, Via, X-Request-Id, which are ours), names with '_',
/// X-Real-IP and Forwarded unless trusted. Added: Host, X-Forwarded-For (appended to the trusted one),
/// X-Forwarded-Proto, X-Forwarded-Host, X-Request-Id, traceparent, Via ("1.1 pseudonym" or "1.0 pseudonym",
/// appended), Content-Length. Fields of which several came and to which ours is appended become one. tracestate goes
/// on only when traceparent continues the client's trace.
void append_request_head(std::string& out, const RequestHead& head, const ForwardContext& context);

struct AnswerContext {
  int client_version = 11;
  bool close = false;  ///< Connection: close; else HTTP/1.0 clients are told keep-alive
  std::string_view request_id;
  BodyFraming framing = BodyFraming::none;  ///< as sent to this client
  std::string_view route_upstream;          ///< X-Router-Upstream; "" = not shown
  unsigned attempts = 0;                    ///< X-Router-Attempts; with route_upstream
  bool keep_upgrade = false;                ///< of a 101
  std::string_view via;
};

/// Appends the head of an answer that is passed on. Status and fields as the upstream sent them, but hop-by-hop
/// fields, framing fields (written anew) and X-Request-Id (ours). Content-Length of answers to HEAD and of 304 stays.
void append_answer_head(std::string& out, const ResponseHead& head, const AnswerContext& context);

/// A complete answer of the router's own. `extra`: further fields, "Name: value\r\n" each.
void append_own_answer(std::string& out, int status, std::string_view content_type, std::string_view body,
                       std::string_view request_id, bool close, bool head_only, int client_version,
                       std::string_view extra = {});

/// "404 Not Found"; "418 Unknown" for a code without a registered phrase.
[[nodiscard]] std::string_view reason_phrase(int status);

/// Does `via` name this pseudonym (RFC 9110 section 7.6.3)? Then the request came back to us. Comments are not told
/// from the rest: an unclosed one must not hide us.
[[nodiscard]] bool via_names(std::string_view via, std::string_view pseudonym);

/// The same over all Via fields of a request (head.via is only the first).
[[nodiscard]] bool came_through(const RequestHead& head, std::string_view pseudonym);

}  // namespace svc::router
