#include "agent/io/program_folder.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>

namespace svc::agent {

void add_program_folder_to_path() {
  std::error_code unknown;
  const std::string folder = std::filesystem::read_symlink("/proc/self/exe", unknown).parent_path();
  if (unknown) return;
  const char* const path = std::getenv("PATH");
  const std::string longer = path == nullptr || *path == '\0' ? folder : std::string(path) + ":" + folder;
  ::setenv("PATH", longer.c_str(), 1);
}

}  // namespace svc::agent
