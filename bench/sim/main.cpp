// infinilm-sim: an inference engine without a model.
#include <csignal>
#include <exception>
#include <iostream>
#include <stdexcept>

#include "bench/sim/options.hpp"
#include "bench/sim/server.hpp"
#include "common/io/rlimit.hpp"

int main(int argc, char** argv) {
  svc::sim::Options options;
  int exit_code = 0;
  if (!svc::sim::parse_options(argc, argv, options, exit_code)) return exit_code;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  static_cast<void>(svc::raise_open_file_limit());
  try {
    svc::sim::Server server(options);
    server.run();
    return 0;
  } catch (const std::invalid_argument& error) {
    std::cerr << "infinilm-sim: " << error.what() << '\n';
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "infinilm-sim: " << error.what() << '\n';
    return 1;
  }
}
