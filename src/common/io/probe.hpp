// One HTTP probe: GET a URL, 2xx is good. Bounded in time, never follows redirects, never reads a body, sends no
// credentials. Shared by all daemons.
#pragma once

#include <string>

#include "common/io/http_client.hpp"

namespace svc {

struct ProbeOutcome {
  bool healthy = false;
  int status = 0;        ///< of the answer; 0 when there was none
  bool refused = false;  ///< nothing listens there
  bool unsent = false;   ///< this process was out of descriptors or ports: nothing was learned
  std::string url;
  std::string error;  ///< why not healthy, "" when healthy
  Duration took{};
};

asio::awaitable<ProbeOutcome> http_probe(HttpClient& client, std::string url, Duration timeout);

}  // namespace svc
