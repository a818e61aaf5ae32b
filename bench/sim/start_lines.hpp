// What the engines print at their start and end; agents wait for some of these lines.
#pragma once

#include <cstdint>

#include "bench/sim/options.hpp"

namespace svc::sim {

/// Before the port is bound.
void print_loading(const Options& options);
/// It is bound.
void print_ready(const Options& options, std::uint16_t port);
void print_stopped(const Options& options);

}  // namespace svc::sim
