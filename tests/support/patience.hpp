// How much longer than usual things may take in this run.
#pragma once

#include <cstdlib>
#include <thread>

#include "common/core/clock.hpp"

namespace svc::test {

inline bool under_sanitizer() { return std::getenv("INFINILM_SANITIZER") != nullptr; }

/// A limit for what takes less than `usual` on a machine with nothing else to do: sanitizers and other work add to it.
inline Duration patience(Duration usual) {
  double load = 0;
  const bool busy = ::getloadavg(&load, 1) == 1 && load > std::thread::hardware_concurrency();
  return usual * (under_sanitizer() ? 5 : 1) * (busy ? 4 : 1);
}

}  // namespace svc::test
