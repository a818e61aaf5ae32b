// What a process and its children use: nginx is a master and its workers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/core/clock.hpp"
#include "common/core/result.hpp"

namespace svc::load {

struct Usage {
  Duration cpu{};     ///< user and kernel, of all threads, also of those that have ended
  Duration kernel{};  ///< the kernel's part of it, in the kernel's ticks of 10 ms
  std::size_t threads = 0;
  std::int64_t rss_bytes = 0;  ///< pages that two of them share count twice
  std::int64_t pss_bytes = 0;  ///< shared pages are shared out; 0 when it may not be read
};

/// Processor time of the whole machine since it was started, of all cores together.
struct MachineUsage {
  Duration busy{}, total{};
};
/// Zero when the kernel does not tell.
MachineUsage machine_usage();

class ProcessTree {
 public:
  /// The process and all that descend from it by now. `pid` 0: none. Errors: not_found.
  static Result<ProcessTree> of(int pid);

  /// Takes some microseconds for each process; reading the memory takes longer. Errors: not_found, when one has ended.
  [[nodiscard]] Result<Usage> usage(bool with_memory) const;

 private:
  std::vector<int> pids_;
};

}  // namespace svc::load
