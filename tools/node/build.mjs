// Builds the native half, optimised, and puts it beside the JavaScript: `npm run build`.
import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const inherit = { cwd: here, stdio: 'inherit' };

execFileSync('cargo', ['build', '--release', '--package', 'visavis-node', '--lib'], inherit);
const metadata = execFileSync('cargo', ['metadata', '--no-deps', '--format-version=1'], {
  cwd: here,
});
const { target_directory: target } = JSON.parse(metadata);
const library = join(here, 'visavis.node');
copyFileSync(join(target, 'release', 'libvisavis_node.so'), library);
execFileSync('strip', ['--strip-unneeded', library], inherit);
