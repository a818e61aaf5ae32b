#include "common/io/http_message.hpp"

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/status.hpp>
#include <charconv>
#include <iterator>

namespace svc {

std::string_view HttpRequest::field(std::string_view name) const {
  for (const auto& field : fields) {
    if (boost::beast::iequals(field.name, name)) {
      return field.value;
    }
  }
  return {};
}

std::string_view reason_phrase(int status) {
  const auto known = boost::beast::http::int_to_status(static_cast<unsigned>(status));
  const auto text = boost::beast::http::obsolete_reason(known);
  return {text.data(), text.size()};
}

void append_head(std::string& out, const HttpResponse& response, std::string_view server_name, std::string_view date,
                 bool keep_alive, BodyFraming framing) {
  const auto field = [&out](std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("\r\n");
  };
  out.append("HTTP/1.1 ").append(std::to_string(response.status)).append(" ");
  out.append(reason_phrase(response.status)).append("\r\n");
  field("Server", server_name);
  field("Date", date);
  if (!response.content_type.empty()) {
    field("Content-Type", response.content_type);
  }
  switch (framing) {
    case BodyFraming::length: field("Content-Length", std::to_string(response.text().size())); break;
    case BodyFraming::chunked: field("Transfer-Encoding", "chunked"); break;
    case BodyFraming::close: break;
  }
  for (const auto& [name, value] : response.fields) {
    field(name, value);
  }
  field("Connection", keep_alive ? "keep-alive" : "close");
  out.append("\r\n");
}

void append_chunk(std::string& out, std::string_view piece) {
  char size[2 * sizeof(std::size_t)];
  const auto end = std::to_chars(std::begin(size), std::end(size), piece.size(), 16).ptr;
  out.append(size, end).append("\r\n").append(piece).append("\r\n");
}

}  // namespace svc
