#include "common/io/http_client.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>

#include "common/io/deadline_guard.hpp"
#include "common/io/stream.hpp"

namespace svc {
namespace {

namespace http = boost::beast::http;
using Parser = http::response_parser<http::string_body>;

constexpr std::uint32_t kMaxHeadBytes = 16 * 1024;
constexpr std::size_t kReadBytes = 4096;
constexpr Duration kLeastPerAddress = std::chrono::milliseconds(250);

std::string request_text(const HttpCall& call, const std::string& user_agent) {
  std::string text = call.method + " " + call.url.target() + " HTTP/1.1\r\nHost: " + call.url.host_field() +
                     "\r\nUser-Agent: " + user_agent + "\r\nAccept: */*\r\nConnection: close\r\n";
  for (const auto& [name, value] : call.fields) {
    text.append(name).append(": ").append(value).append("\r\n");
  }
  if (!call.body.empty() || call.method == "POST" || call.method == "PUT") {
    text.append("Content-Length: ").append(std::to_string(call.body.size())).append("\r\n");
  }
  return text.append("\r\n").append(call.body);
}

/// What this process or machine is out of, which says nothing about the other side.
bool out_of_resources(const error_code& ec) {
  namespace errc = boost::system::errc;
  return ec == errc::too_many_files_open || ec == errc::too_many_files_open_in_system ||
         ec == errc::not_enough_memory || ec == errc::no_buffer_space || ec == errc::address_not_available;
}

Error connect_error(const std::string& to, const error_code& ec) {
  if (ec == asio::error::connection_refused) {
    return connect_failed("nothing listens on " + to, ec.message());
  }
  if (out_of_resources(ec)) {
    return io_failed("cannot connect to " + to, ec.message());
  }
  return unavailable("cannot connect to " + to, ec.message());
}

/// One of `addresses` that are still to be tried must not use up the time of all.
Deadline share_of(Deadline whole, std::size_t addresses) {
  const TimePoint now = steady_now();
  const Duration share = whole.left(now) / static_cast<Duration::rep>(addresses);
  return Deadline::earlier_of(whole, Deadline::after(now, std::max(share, kLeastPerAddress)));
}

HttpReply reply_of(Parser& parser) {
  HttpReply reply;
  reply.status = static_cast<int>(parser.get().result_int());
  for (const auto& field : parser.get()) {
    reply.fields.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  reply.body = std::move(parser.get().body());
  return reply;
}

/// Feeds what arrives to a parser until it has what the call needs; interim (1xx) answers are passed over.
class ReplyReader {
 public:
  explicit ReplyReader(const HttpCall& call) : call_(call) { renew(); }

  /// An error ends the call; true when the answer is complete.
  Result<bool> feed(std::string_view data, bool end) {
    in_.append(data);
    // The parser's own limit counts only what lies in its buffer.
    head_bytes_ += parser_->is_header_done() ? 0 : data.size();
    if (head_bytes_ > kMaxHeadBytes + call_.max_body_bytes) {
      return protocol_error("the head of the answer is too large");
    }
    while (!in_.empty() && !complete()) {
      error_code ec;
      in_.erase(0, parser_->put(asio::const_buffer(in_.data(), in_.size()), ec));
      if (ec == http::error::need_more) {
        break;
      }
      if (ec) {
        return ec == http::error::body_limit
                   ? too_large("the answer is larger than " + std::to_string(call_.max_body_bytes) + " bytes")
                   : protocol_error("the answer is not valid HTTP", ec.message());
      }
      if (parser_->is_header_done() && parser_->get().result_int() / 100 == 1) {
        renew();
      }
    }
    if (end && !complete()) {
      error_code ec;
      if (parser_->got_some()) {
        parser_->put_eof(ec);
      }
      if (ec || !parser_->is_done()) {
        return connection_lost("the connection was closed before the answer was complete", ec ? ec.message() : "");
      }
    }
    return complete();
  }

  HttpReply take() { return reply_of(*parser_); }

 private:
  void renew() {
    parser_.emplace();
    parser_->header_limit(kMaxHeadBytes);
    if (call_.head_only) {
      parser_->body_limit(boost::none);
    } else {
      parser_->body_limit(call_.max_body_bytes);
    }
    parser_->eager(!call_.head_only);
    if (call_.method == "HEAD") {
      parser_->skip(true);
    }
  }
  bool complete() const {
    return parser_->is_done() ||
           (call_.head_only && parser_->is_header_done() && parser_->get().result_int() / 100 != 1);
  }

  const HttpCall& call_;
  std::optional<Parser> parser_;
  std::string in_;
  std::size_t head_bytes_ = 0;  ///< counts the first bytes of a body with them
};

}  // namespace

IpAddress to_ip_address(const asio::ip::address& address) {
  return address.is_v4() ? IpAddress::v4(address.to_v4().to_bytes()) : IpAddress::v6(address.to_v6().to_bytes());
}

HttpClient::HttpClient(asio::any_io_executor executor, Resolver& resolver, std::string user_agent)
    : executor_(executor), resolver_(resolver), user_agent_(std::move(user_agent)) {}

asio::awaitable<Result<HttpReply>> HttpClient::call(HttpCall call, Deadline deadline) {
  if (call.url.tls && !tls_) {
    co_return invalid("https is not available: no TLS settings");
  }
  auto socket = co_await connect(call.url.endpoint, deadline);
  if (!socket) {
    co_return socket.error();
  }
  co_return co_await exchange(call, std::move(*socket), deadline);
}

asio::awaitable<Result<tcp::socket>> HttpClient::connect(const Endpoint& to, Deadline deadline) {
  const auto addresses = co_await resolver_.resolve(to.host, deadline);
  if (!addresses) {
    co_return addresses.error();
  }
  Error last = unavailable("the name '" + to.host + "' has no address");
  Resolver::Addresses allowed;
  for (const auto& address : *addresses) {
    if (const auto refusal = policy_.refusal(to_ip_address(address))) {
      last = Error{Errc::forbidden, ErrorSource::self, false, "not allowed to connect: " + *refusal, ""};
    } else {
      allowed.push_back(address);
    }
  }
  for (std::size_t i = 0; i < allowed.size(); ++i) {
    Stream stream{tcp::socket(executor_)};
    const DeadlineGuard guard(executor_, stream, share_of(deadline, allowed.size() - i));
    auto [ec] = co_await stream.socket().async_connect({allowed[i], to.port}, kTok);
    if (!ec) {
      co_return std::move(stream.socket());
    }
    if (guard.expired()) {
      last = timed_out("connecting to " + to.to_string() + " took too long");
    } else {
      last = connect_error(to.to_string(), ec);
    }
    if (deadline.expired(steady_now())) {
      break;
    }
  }
  co_return last;
}

asio::awaitable<Result<HttpReply>> HttpClient::exchange(const HttpCall& call, tcp::socket socket, Deadline deadline) {
  Stream stream(std::move(socket));
  const DeadlineGuard guard(executor_, stream, deadline);
  const std::string peer = call.url.endpoint.to_string();
  error_code ec = stream.prepare();
  if (!ec && call.url.tls) {
    ec = co_await stream.connect_tls(tls_, call.url.endpoint.host);
  }
  if (!ec) {
    ec = co_await stream.write(request_text(call, user_agent_));
  }
  ReplyReader reader(call);
  std::array<char, kReadBytes> buffer;
  while (!ec) {
    const auto [read_error, data] = co_await stream.read_some(buffer);
    const bool end = read_error == asio::error::eof;
    if (read_error && !end) {
      ec = read_error;
      break;
    }
    const auto complete = reader.feed(data, end);
    if (!complete) {
      co_return complete.error();
    }
    if (*complete) {
      stream.close();
      co_return reader.take();
    }
  }
  if (guard.expired()) {
    co_return timed_out(peer + " did not answer in time");
  }
  co_return connection_lost("the connection to " + peer + " broke", ec.message());
}

}  // namespace svc
