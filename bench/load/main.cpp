// infinilm-bench: puts one kind of load on a proxy on this machine, or replays what was recorded, in real or in virtual
// time; JSON on stdout, a summary on stderr.
#include <iostream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "bench/load/command_line.hpp"
#include "bench/load/replay_command.hpp"
#include "bench/load/report.hpp"
#include "bench/load/trace_command.hpp"
#include "common/io/rlimit.hpp"

namespace svc::load {
namespace {

int complain(const Error& error, int code) {
  std::cerr << "infinilm-bench: " << error.to_string() << '\n';
  return code;
}

int run(const Options& options) {
  static_cast<void>(raise_open_file_limit());
  const bool ask = !options.sim_ports.empty();
  const auto before = ask ? read_sim_stats(options) : Result<SimStats>(SimStats{});
  if (!before) {
    return complain(before.error(), 1);
  }
  EventLoop loop;
  Tally tally;
  const auto measured = Run(options, loop, tally).execute();
  if (!measured) {
    return complain(measured.error(), 1);
  }
  const auto after = ask ? settled_sim_stats(options) : Result<SimStats>(SimStats{});
  if (!after) {
    return complain(after.error(), 1);
  }
  const auto report =
      make_report(options, tally, *measured, ask ? std::optional(after->chunks - before->chunks) : std::nullopt);
  std::cerr << summary(report);
  std::cout << report.dump() << '\n';
  return tally.clean() ? 0 : 1;
}

}  // namespace
}  // namespace svc::load

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "replay") {
    return svc::load::replay_command(argc - 1, argv + 1);
  }
  if (argc > 1 && std::string_view(argv[1]) == "trace") {
    return svc::load::trace_command(argc - 1, argv + 1);
  }
  svc::load::Options options;
  if (const auto code = svc::load::read_command_line(argc, argv, options)) {
    return *code;
  }
  return svc::load::run(options);
}
