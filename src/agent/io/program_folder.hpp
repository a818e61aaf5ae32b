// Where this program lies: its neighbours (infinilm-sim) are found without an installation.
#pragma once

namespace svc::agent {

/// Puts the folder of the running program at the end of PATH. Before any engine is started; not thread-safe.
void add_program_folder_to_path();

}  // namespace svc::agent
