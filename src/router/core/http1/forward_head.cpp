#include "router/core/http1/forward_head.hpp"

#include "router/core/http1/field_copy.hpp"

namespace svc::router {
namespace {

std::span<const std::string_view> options_of(const auto& head) {
  return {head.connection_options.data(), head.connection_option_count};
}

class RequestWriter {
 public:
  RequestWriter(std::string& out, const RequestHead& head, const ForwardContext& context)
      : out_(out), head_(head), context_(context) {}

  void write() {
    out_.append(head_.method).append(" ").append(head_.target).append(" HTTP/1.1\r\n");
    append_field(out_, "Host", context_.upstream_host);
    FieldCopy copy(out_);
    const auto options = options_of(head_);
    for (std::size_t i = 0; i < head_.field_count; ++i) {
      if (passes(i, options)) copy.add(head_.field_storage[i]);
    }
    copy.flush();
    write_forwarded();
    write_own();
    out_.append("\r\n");
  }

 private:
  bool passes(std::size_t index, std::span<const std::string_view> options) const {
    switch (head_.kind_storage[index]) {
      case FieldKind::connection:
      case FieldKind::content_length:
      case FieldKind::expect:
      case FieldKind::forwarded_for:  // these three: written anew
      case FieldKind::forwarded_host:
      case FieldKind::forwarded_proto:
      case FieldKind::hop_by_hop:
      case FieldKind::host:
      case FieldKind::request_id:
      case FieldKind::traceparent:
      case FieldKind::transfer_encoding:
      case FieldKind::underscored:
      case FieldKind::upgrade: return false;
      case FieldKind::via: return context_.via.empty();
      case FieldKind::forwarded: return context_.trust_forwarded;
      case FieldKind::authorization:
        if (context_.drop_authorization || !context_.authorization.empty()) return false;
        break;
      case FieldKind::tracestate:
        if (!same_trace()) return false;
        break;
      case FieldKind::content_encoding:
      case FieldKind::content_type:
      case FieldKind::other:
      case FieldKind::retry_after:
      case FieldKind::route:
      case FieldKind::user_agent: break;
    }
    return options.empty() || !is_one_of(head_.field_storage[index].name, options);
  }

  /// W3C Trace Context: "00-" and 32 digits that name the trace.
  bool same_trace() const {
    constexpr std::size_t kStart = 3;
    constexpr std::size_t kDigits = 32;
    const std::string_view sent = context_.traceparent;
    const std::string_view came = head_.traceparent;
    if (sent.size() < kStart + kDigits || came.size() < kStart + kDigits) return false;
    return sent.substr(kStart, kDigits) == came.substr(kStart, kDigits);
  }

  /// "Name: a, b, " of all fields of that kind; the caller ends the line.
  void write_joined(std::string_view name, FieldKind kind) {
    out_.append(name).append(": ");
    for (std::size_t i = 0; i < head_.field_count; ++i) {
      const std::string_view value = head_.field_storage[i].value;
      if (head_.kind_storage[i] == kind && !value.empty()) out_.append(value).append(", ");
    }
  }

  void write_forwarded() {
    const bool trusted = context_.trust_forwarded;
    if (trusted && !head_.forwarded_for.empty() && !head_.more_forwarded_for) {
      out_.append("X-Forwarded-For: ").append(head_.forwarded_for).append(", ");
    } else if (trusted && head_.more_forwarded_for) {
      write_joined("X-Forwarded-For", FieldKind::forwarded_for);
    } else {
      out_.append("X-Forwarded-For: ");
    }
    out_.append(context_.client_address).append("\r\n");
    const bool keep_proto = trusted && !head_.forwarded_proto.empty();
    append_field(out_, "X-Forwarded-Proto", keep_proto ? head_.forwarded_proto : context_.scheme);
    const bool keep_host = trusted && !head_.forwarded_host.empty();
    const std::string_view host = keep_host ? head_.forwarded_host : head_.host;
    if (!host.empty()) append_field(out_, "X-Forwarded-Host", host);
  }

  void write_via() {
    if (head_.via.data() == nullptr) {
      out_.append("Via: ");
    } else {
      write_joined("Via", FieldKind::via);
    }
    out_.append(head_.version == 10 ? "1.0 " : "1.1 ").append(context_.via).append("\r\n");
  }

  void write_own() {
    if (!context_.request_id.empty()) append_field(out_, "X-Request-Id", context_.request_id);
    if (!context_.traceparent.empty()) append_field(out_, "traceparent", context_.traceparent);
    if (!context_.authorization.empty()) append_field(out_, "Authorization", context_.authorization);
    if (!context_.via.empty()) write_via();
    if (context_.keep_upgrade && !head_.upgrade.empty()) {
      out_.append("Connection: upgrade\r\n");
      append_field(out_, "Upgrade", head_.upgrade);
    }
    if (context_.body_bytes) {
      out_.append("Content-Length: ");
      append_number(out_, *context_.body_bytes);
      out_.append("\r\n");
    }
  }

  std::string& out_;
  const RequestHead& head_;
  const ForwardContext& context_;
};

bool passes_answer(std::string_view name, FieldKind kind, std::span<const std::string_view> options, bool own_route) {
  switch (kind) {
    case FieldKind::connection:
    case FieldKind::content_length:
    case FieldKind::hop_by_hop:
    case FieldKind::request_id:
    case FieldKind::transfer_encoding:
    case FieldKind::upgrade: return false;
    case FieldKind::route:
      if (own_route) return false;
      break;
    case FieldKind::authorization:
    case FieldKind::content_encoding:
    case FieldKind::content_type:
    case FieldKind::expect:
    case FieldKind::forwarded:
    case FieldKind::forwarded_for:
    case FieldKind::forwarded_host:
    case FieldKind::forwarded_proto:
    case FieldKind::host:
    case FieldKind::other:
    case FieldKind::retry_after:
    case FieldKind::traceparent:
    case FieldKind::tracestate:
    case FieldKind::underscored:
    case FieldKind::user_agent:
    case FieldKind::via: break;
  }
  return options.empty() || !is_one_of(name, options);
}

void append_length(std::string& out, std::uint64_t length) {
  out.append("Content-Length: ");
  append_number(out, length);
  out.append("\r\n");
}

void append_framing(std::string& out, const ResponseHead& head, BodyFraming framing) {
  switch (framing) {
    case BodyFraming::length: return append_length(out, head.content_length);
    case BodyFraming::chunked: out.append("Transfer-Encoding: chunked\r\n"); return;
    case BodyFraming::until_close: return;
    case BodyFraming::none: break;
  }
  // To HEAD and in 304 it is what a GET would have got; where there can be no body it would be an error.
  const bool can_have_body = head.status >= 200 && head.status != 204;
  if (can_have_body && head.has_content_length) append_length(out, head.content_length);
}

void append_connection(std::string& out, bool close, int client_version) {
  if (close) {
    out.append("Connection: close\r\n");
  } else if (client_version == 10) {
    out.append("Connection: keep-alive\r\n");
  }
}

}  // namespace

void append_request_head(std::string& out, const RequestHead& head, const ForwardContext& context) {
  RequestWriter(out, head, context).write();
}

void append_answer_head(std::string& out, const ResponseHead& head, const AnswerContext& context) {
  out.append("HTTP/1.1 ");
  append_number(out, static_cast<unsigned>(head.status));
  out.append(" ").append(head.reason).append("\r\n");
  FieldCopy copy(out);
  const std::span<const std::string_view> options = options_of(head);
  const bool own_route = !context.route_upstream.empty();
  for (std::size_t i = 0; i < head.field_count; ++i) {
    const FieldView& field = head.field_storage[i];
    if (passes_answer(field.name, head.kind_storage[i], options, own_route)) copy.add(field);
  }
  copy.flush();
  if (!context.request_id.empty()) append_field(out, "X-Request-Id", context.request_id);
  if (!context.via.empty()) {
    out.append(head.version == 10 ? "Via: 1.0 " : "Via: 1.1 ").append(context.via).append("\r\n");
  }
  if (own_route) {
    append_field(out, "X-Router-Upstream", context.route_upstream);
    out.append("X-Router-Attempts: ");
    append_number(out, context.attempts);
    out.append("\r\n");
  }
  append_framing(out, head, context.framing);
  if (head.status == 101) {
    out.append("Connection: upgrade\r\n");
    if (context.keep_upgrade && !head.upgrade.empty()) append_field(out, "Upgrade", head.upgrade);
  } else if (head.status >= 200) {
    append_connection(out, context.close || context.framing == BodyFraming::until_close, context.client_version);
  }
  out.append("\r\n");
}

void append_own_answer(std::string& out, int status, std::string_view content_type, std::string_view body,
                       std::string_view request_id, bool close, bool head_only, int client_version,
                       std::string_view extra) {
  out.append("HTTP/1.1 ").append(reason_phrase(status)).append("\r\n");
  const bool can_have_body = status >= 200 && status != 204 && status != 304;
  if (can_have_body && !content_type.empty()) append_field(out, "Content-Type", content_type);
  if (can_have_body) append_length(out, body.size());
  if (!request_id.empty()) append_field(out, "X-Request-Id", request_id);
  out.append(extra);
  append_connection(out, close, client_version);
  out.append("\r\n");
  if (can_have_body && !head_only) out.append(body);
}

bool via_names(std::string_view via, std::string_view pseudonym) {
  if (pseudonym.empty()) return false;
  while (!via.empty()) {
    const std::size_t comma = via.find(',');
    std::string_view hop = trim_blanks(via.substr(0, comma));
    via.remove_prefix(comma == std::string_view::npos ? via.size() : comma + 1);
    const std::size_t protocol_end = hop.find_first_of(" \t");
    if (protocol_end == std::string_view::npos) continue;
    hop = trim_blanks(hop.substr(protocol_end));
    if (equal_ignoring_case(hop.substr(0, hop.find_first_of(" \t(")), pseudonym)) return true;
  }
  return false;
}

bool came_through(const RequestHead& head, std::string_view pseudonym) {
  if (head.via.data() == nullptr) return false;
  for (std::size_t i = 0; i < head.field_count; ++i) {
    if (head.kind_storage[i] == FieldKind::via && via_names(head.field_storage[i].value, pseudonym)) return true;
  }
  return false;
}

}  // namespace svc::router
