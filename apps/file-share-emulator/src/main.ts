import { formatBytes } from '#quantities';

console.log(formatBytes(123456));
