// One connection and the exchanges on it, one after the other. Belongs to the loop's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bench/load/options.hpp"
#include "bench/load/response_reader.hpp"
#include "bench/load/stream_check.hpp"
#include "bench/load/tally.hpp"
#include "common/io/event_loop.hpp"
#include "common/io/timer_wheel.hpp"

namespace svc::load {

class Client;

/// What the clients of a run share, and who tells them to begin.
struct Shared {
  const Options& options;
  EventLoop& loop;
  Tally& tally;
  std::string buffer = std::string(256 * 1024, '\0');  ///< for one read

  /// The client's exchange is over, however it went. It may begin the next one.
  virtual void on_idle(Client& client) = 0;

  Shared(const Options& options_in, EventLoop& loop_in, Tally& tally_in)
      : options(options_in), loop(loop_in), tally(tally_in), request_(make_request(options_in)) {}

  /// What the clients send: all the same bytes, but for the number.
  [[nodiscard]] const std::string& request() const { return request_; }
  /// Before the first byte of it is sent. Others that are still sending are beyond the number.
  void number_next_request() {
    if (options.distinct) {
      number_request(request_, ++requests_);
    }
  }

 protected:
  ~Shared() = default;

 private:
  std::string request_;
  std::uint64_t requests_ = 0;
};

/// How an exchange went.
struct Exchange {
  TimePoint due, first_token, ended;
  bool good = false;                ///< it came to its end, as it should
  std::uint64_t cached_tokens = 0;  ///< as usage told
};

class Client final : public IoHandler, private BodySink {
 public:
  /// `number`: which of the ports it uses.
  Client(Shared& shared, std::size_t number);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Only when idle. `due`: when the exchange should have begun; its time counts from there.
  void begin(TimePoint due) { begin(due, shared_.request(), shared_.options.tokens); }
  /// With a request of its own, which stays valid until the exchange is over, for a stream of so many tokens.
  void begin(TimePoint due, const std::string& request, std::size_t tokens);
  /// Closes the connection; an exchange that is going on is neither finished nor failed.
  void drop();
  [[nodiscard]] bool busy() const { return state_ != State::idle; }
  [[nodiscard]] std::size_t number() const { return number_; }
  /// The last one that is over.
  [[nodiscard]] const Exchange& last() const { return exchange_; }

  void on_io(IoEvents events) override;

 private:
  enum class State : std::uint8_t { idle, connecting, waiting, resting };

  bool connect();
  void write();
  void read(bool peer_closed);
  bool take(std::string_view bytes, TimePoint now);  ///< false: the connection is closed
  void on_end(bool reset);
  void finish(TimePoint now);
  void leave(TimePoint now);
  void fail(Failure failure);
  void close();
  void on_silence(TimePoint now);
  void on_chunk() override;
  void on_body(std::string_view piece) override;

  Shared& shared_;
  const std::size_t number_;
  int fd_ = -1;
  State state_ = State::idle;
  const std::string* request_ = nullptr;
  std::size_t tokens_ = 0;
  std::size_t written_ = 0;
  Exchange exchange_;
  TimePoint read_at_;  ///< when the bytes that are looked at were read
  ResponseReader reader_;
  StreamCheck stream_;
  MemberTimer<Client, &Client::on_silence> timer_{*this};
};

}  // namespace svc::load
