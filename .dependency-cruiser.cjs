// Draws the direction of imports: which room may see which, and by which doors. The floors are those of docs/ARCHITECTURE.md.
const FLOORS = [
  ['errors', 'quantities', 'clock'],
  ['oci', 'regions', 'claims'],
  ['shares', 'pins', 'demand', 'access', 'events'],
  ['placement', 'replication', 'expansion', 'mounts'],
  ['registry', 'contract', 'config', 'database', 'telemetry', 'file-share-emulator'],
];

const TESTS = '\\.spec\\.ts$|/testing/|^test/';
const roomsOf = (floors) => floors.flat().join('|');

// A room sees the floors below its own, by their doors.
const downOnly = FLOORS.flatMap((rooms, floor) =>
  rooms.map((room) => ({
    name: `${room}-looks-down`,
    severity: 'error',
    comment: `${room} is on floor ${floor}: it may see the floors below, never its neighbours or what is above`,
    from: { path: `^libs/${room}/`, pathNot: TESTS },
    to: { path: '^(libs|apps|migrations)/', pathNot: [`^libs/${room}/`, ...(floor === 0 ? [] : [`^libs/(${roomsOf(FLOORS.slice(0, floor))})/`])] },
  })),
);

module.exports = {
  forbidden: [
    ...downOnly,
    {
      name: 'rooms-by-their-doors',
      severity: 'error',
      comment: 'another room is entered by index.ts, or by the doors of its typeorm, nest, testing, driver and local folders',
      from: { path: '^(?:libs/([^/]+)|apps/[^/]+|test|migrations)/' },
      to: { path: '^libs/([^/]+)/src/', pathNot: ['^libs/$1/', '/src/(typeorm|nest|testing|azure-files|local)/index\\.ts$'] },
    },
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'apps-never-see-each-other',
      severity: 'error',
      from: { path: '^apps/([^/]+)/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'plain-rooms',
      severity: 'error',
      comment: 'what a room decides is plain TypeScript: no framework, no ORM, no SDK outside of the folders named for them',
      from: { path: '^libs/(errors|quantities|clock|oci|regions|claims|shares|pins|demand|access|events|placement|replication|expansion|mounts|registry|contract)/', pathNot: `/src/(typeorm|nest|azure-files|http|local)/|${TESTS}` },
      to: { path: 'node_modules/(@nestjs|typeorm|@azure/storage-file-share|undici|pg)/' },
    },
    {
      name: 'deciding-rooms-have-no-io',
      severity: 'error',
      comment: 'what demand, placement and pins decide depends on its arguments only',
      from: { path: '^libs/(pins|demand|placement)/src/[^/]+\\.ts$', pathNot: TESTS },
      to: { path: '^(node:)?(fs|net|http|https|timers|child_process|worker_threads)' },
    },
    {
      name: 'tests-stay-out-of-the-product',
      severity: 'error',
      from: { path: '^(apps|libs|migrations)/', pathNot: TESTS },
      to: { path: '(\\.spec\\.ts$|^test/|node_modules/(vitest|fast-check)/)' },
    },
    {
      name: 'no-unlisted-package',
      severity: 'error',
      from: { path: '^(apps|libs|migrations)/', pathNot: TESTS },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { conditionNames: ['source', 'import', 'node', 'default'], exportsFields: ['exports'], mainFields: ['module', 'main'] },
  },
};
