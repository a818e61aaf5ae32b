// One client connection of HttpServer: reads a head, checks it, finds the route, reads the body, answers, and again.
#pragma once

#include <exception>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "common/io/http_server.hpp"
#include "common/io/request_reader.hpp"
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
  /// False when the connection is to end.
  asio::awaitable<bool> serve_one();
  /// nullopt: go on; otherwise the answer that ends the request. `gone_` set when there is nobody to answer.
  asio::awaitable<std::optional<HttpResponse>> read_head();
  asio::awaitable<std::optional<HttpResponse>> read_body(std::size_t limit);
  asio::awaitable<HttpResponse> handle(const HttpRoute& route);
  asio::awaitable<bool> send(const HttpResponse& response);
  asio::awaitable<bool> send_stream(const HttpResponse& response);
  /// The body alone. False: it is not whole.
  asio::awaitable<bool> run_stream(const HttpResponse& response, BodyFraming framing);
  void report(const HttpResponse& response);
  /// Of an exception that left a handler or a stream; what a hard stop cancelled goes on.
  void report_bug(const std::exception_ptr& escaped);
  asio::awaitable<void> linger();
  asio::awaitable<bool> receive();

  void take_head();
  const HttpRoute* find_route(HttpResponse& refusal);
  void enter(Phase phase, Duration allowed);
  class StreamWriter;
  /// From here on the request can be abandoned: the client is watched.
  void begin_wait();
  void end_wait();
  void watch_client();
  void look_at_client();
  HttpResponse refusal(int status, std::string_view message);
  HttpResponse refusal(const RequestProblem& problem);

  HttpServer& server_;
  Stream stream_;
  std::string peer_;
  RequestReader reader_;
  std::string head_;  ///< of the answer
  HttpRequest request_;
  std::string_view pattern_;
  std::optional<WaitSignal> wait_;
  std::optional<Timer> look_again_;  ///< at a client that has sent more than its request
  Phase phase_ = Phase::idle;
  TimePoint deadline_ = TimePoint::max();
  bool timed_out_ = false;
  bool gone_ = false;
  bool keep_alive_ = true;
  bool unread_input_ = false;  ///< the client may still be sending when we answer
};

}  // namespace svc
