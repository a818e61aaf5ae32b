// Names to addresses, cached, with waits that a deadline really bounds.
//
// A look-up itself cannot be interrupted (getaddrinfo): all of them run one after another on Asio's one background
// thread, and only the waiting coroutine gives up. So one name server that hangs must not stop everything: questions
// for one name share one look-up, few look-ups may wait, and a name that could be resolved within the last hour is
// answered from memory while its next look-up is pending or fails (serving stale answers, RFC 8767). One thread.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/core/deadline.hpp"
#include "common/core/result.hpp"
#include "common/io/asio_aliases.hpp"

namespace svc {

struct ResolverSettings {
  Duration keep{std::chrono::seconds(30)};  ///< how long an answer is used again without asking
  Duration keep_failure{std::chrono::seconds(2)};
  Duration keep_stale{std::chrono::hours(1)};  ///< how long, since it came, an answer stands in for one that is missing
  std::size_t max_names = 10'000;
  std::size_t max_pending = 256;  ///< look-ups at a time; further ones fail at once
};

class Resolver {
 public:
  using Addresses = std::vector<asio::ip::address>;
  /// Looks a name up and calls back on the executor, exactly once.
  using LookUp = std::function<void(const std::string& host, std::function<void(const error_code&, Addresses)> done)>;

  /// `look_up`: the system's by default.
  explicit Resolver(asio::any_io_executor executor, ResolverSettings settings = {}, LookUp look_up = nullptr);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// Numeric addresses are answered at once. Errors: unavailable (retryable unless there is no such name), timed_out.
  asio::awaitable<Result<Addresses>> resolve(std::string host, Deadline deadline);

 private:
  struct Entry {
    Result<Addresses> answer;
    TimePoint expires{};
    Addresses good;  ///< the last that there were
    TimePoint good_since{};
    bool pending = false;
    std::list<Timer*> waiters;
  };
  LookUp of_the_system();
  void look_up(const std::string& host, const std::shared_ptr<Entry>& entry);
  bool stands_in(const Entry& entry, TimePoint now) const;
  void make_room(TimePoint now);

  asio::any_io_executor executor_;
  ResolverSettings settings_;
  tcp::resolver resolver_;
  LookUp look_up_;
  std::shared_ptr<std::size_t> pending_ =
      std::make_shared<std::size_t>(0);  ///< also of answers that come after our end
  std::unordered_map<std::string, std::shared_ptr<Entry>> entries_;
};

}  // namespace svc
