// One HTTP/1.1 call at a time: connect, send, read the answer, close. For probes and for calls between the daemons;
// no pool, no redirects followed, nothing retried.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "common/core/address_policy.hpp"
#include "common/core/deadline.hpp"
#include "common/core/http_url.hpp"
#include "common/core/result.hpp"
#include "common/io/asio_aliases.hpp"
#include "common/io/resolver.hpp"
#include "common/io/tls.hpp"

namespace svc {

struct HttpCall {
  std::string method = "GET";
  HttpUrl url;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;
  std::size_t max_body_bytes = 1024 * 1024;  ///< a larger answer is an error
  bool head_only = false;                    ///< the status is enough: do not read the answer's body
};

struct HttpReply {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;
};

class HttpClient {
 public:
  /// `resolver` must outlive the client. `user_agent`: "infinilm-registry/1.2.3".
  HttpClient(asio::any_io_executor executor, Resolver& resolver, std::string user_agent);

  /// Used for https URLs; without it they fail.
  void set_tls(TlsContext context) { tls_ = std::move(context); }
  /// Judged for every resolved address, right before it is connected to.
  void set_address_policy(AddressPolicy policy) { policy_ = std::move(policy); }
  const AddressPolicy& address_policy() const { return policy_; }

  /// Errors: connect_failed (nothing listens there), unavailable (no route, no such name), timed_out, connection_lost,
  /// protocol_error, forbidden (the address policy), too_large.
  asio::awaitable<Result<HttpReply>> call(HttpCall call, Deadline deadline);

  asio::awaitable<Result<Resolver::Addresses>> resolve(const std::string& host, Deadline deadline) {
    return resolver_.resolve(host, deadline);
  }

 private:
  asio::awaitable<Result<tcp::socket>> connect(const Endpoint& to, Deadline deadline);
  asio::awaitable<Result<HttpReply>> exchange(const HttpCall& call, tcp::socket socket, Deadline deadline);

  asio::any_io_executor executor_;
  Resolver& resolver_;
  std::string user_agent_;
  TlsContext tls_;
  AddressPolicy policy_;
};

/// For the address policy, which knows nothing of Asio.
IpAddress to_ip_address(const asio::ip::address& address);

}  // namespace svc
