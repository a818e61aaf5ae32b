// Where and as whom an engine is asked.
#pragma once

#include <cstdint>
#include <string>

namespace svc::agent {

struct EngineAccess {
  std::string host;  ///< the settings'; where the engine is really asked is decided in engine_hosts()
  std::uint16_t port = 0;
  std::string key;  ///< shown as a bearer token; secret, to be printed nowhere; "" = none
};

}  // namespace svc::agent
