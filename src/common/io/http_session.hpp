// One client connection of HttpServer: reads a head, checks it, finds the route, reads the body, answers, and again.
#pragma once

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/io/http_server.hpp"
#include "common/io/stream.hpp"

namespace svc {

class HttpSession : public std::enable_shared_from_this<HttpSession> {
 public:
  HttpSession(HttpServer& server, tcp::socket socket, std::string peer);

  asio::awaitable<void> run();

  /// The deadline of what it is doing has passed.
  void expire();
  void drain();
  TimePoint deadline() const { return deadline_; }
  const std::string& peer() const { return peer_; }
  void cut() { stream_.abort(); }

  std::list<HttpSession*>::iterator place;  ///< in the server's list

 private:
  enum class Phase { idle, head, body, handler, write, linger };
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  /// False when the connection is to end.
  asio::awaitable<bool> serve_one();
  /// nullopt: go on; otherwise the answer that ends the request. `gone_` set when there is nobody to answer.
  asio::awaitable<std::optional<HttpResponse>> read_head();
  asio::awaitable<std::optional<HttpResponse>> read_body(std::size_t limit);
  asio::awaitable<HttpResponse> handle(const HttpRoute& route);
  asio::awaitable<bool> send(const HttpResponse& response);
  asio::awaitable<void> linger();
  asio::awaitable<bool> receive();

  std::optional<HttpResponse> accept_head();
  const HttpRoute* find_route(HttpResponse& refusal);
  static void check_chunk(std::string_view extension, error_code& ec);
  void enter(Phase phase, Duration allowed);
  void watch_client();
  HttpResponse refusal(int status, std::string_view message);
  HttpResponse refusal(const error_code& ec);

  HttpServer& server_;
  Stream stream_;
  std::string peer_;
  std::string in_;        ///< received, not yet parsed
  std::string raw_head_;  ///< of the request, as received
  std::string head_;      ///< of the answer
  /// The parser keeps a reference to it.
  std::function<void(std::uint64_t, boost::beast::string_view, error_code&)> on_chunk_ =
      [](std::uint64_t, boost::beast::string_view extension, error_code& ec) {
        check_chunk({extension.data(), extension.size()}, ec);
      };
  std::optional<Parser> parser_;
  std::vector<FieldView> fields_;
  HttpRequest request_;
  std::string_view pattern_;
  std::optional<WaitSignal> wait_;
  Phase phase_ = Phase::idle;
  TimePoint deadline_ = TimePoint::max();
  bool timed_out_ = false;
  bool gone_ = false;
  bool keep_alive_ = true;
  bool unread_input_ = false;  ///< the client may still be sending when we answer
};

}  // namespace svc
